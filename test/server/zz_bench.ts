import { create, toBinary, fromBinary } from "@bufbuild/protobuf"
import { VerifyRequestSchema } from "/work/main/src/gen/assay/v1/attestation_pb.ts"
import { decodeStrictly } from "/work/main/src/server/wire.ts"
import { check } from "/work/main/src/server/validate.ts"
import { HashAlgorithm } from "/work/main/src/gen/assay/v1/evidence_pb.ts"
const ones=(n:number)=>new Uint8Array(n).fill(1)
const m=create(VerifyRequestSchema,{freshness:{case:"challenge",value:ones(160)},evidence:{kind:{case:"tpm",value:{akName:ones(34),attest:ones(145),signature:ones(262),pcrBanks:[{hash:HashAlgorithm.SHA256,values:ones(32*9)}]}}}})
const b=toBinary(VerifyRequestSchema,m)
console.log(b.length)
const time=(n:string,f:()=>unknown)=>{for(let i=0;i<200000;i++)f();const r=[];for(let k=0;k<7;k++){const t=performance.now();for(let i=0;i<100000;i++)f();r.push((performance.now()-t)/100)}r.sort((a,b)=>a-b);console.log(n,r[3]?.toFixed(2),"µs")}
time("fromBinary",()=>fromBinary(VerifyRequestSchema,b))
time("strict",()=>decodeStrictly(VerifyRequestSchema,b))
const d=decodeStrictly(VerifyRequestSchema,b)
time("check",()=>check(VerifyRequestSchema,d))
