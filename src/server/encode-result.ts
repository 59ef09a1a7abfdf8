import { toBinary, type UnknownField } from "@bufbuild/protobuf"
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire"
import type { Finding } from "../appraisal/finding.ts"
import type { VerifyResponse } from "../gen/assay/v1/attestation_pb.ts"
import { AttestationResultSchema, FindingSchema } from "../gen/assay/v1/result_pb.ts"
import type { AttestationResult } from "../result/result.ts"
import { findingToProto, resultToProto } from "./convert.ts"

const FINDINGS = AttestationResultSchema.field.findings.number

/** Findings as they go over the wire. Most are the same objects again and again: what a rule says that has nothing to say. */
const encoded = new WeakMap<Finding, UnknownField>()

/**
 * A result with its token, to be written and not to be read: its findings are bytes already, each made once, beside the fields
 * that are known. On the wire it is what `resultToProto` gives.
 */
export const resultToWire = (result: AttestationResult): VerifyResponse => {
  const response = resultToProto({ ...result, findings: [] })
  if (response.result !== undefined) response.result.$unknown = result.findings.map(encode)
  return response
}

const encode = (finding: Finding): UnknownField => {
  const known = encoded.get(finding)
  if (known !== undefined) return known
  const bytes = toBinary(FindingSchema, findingToProto(finding))
  const field = {
    no: FINDINGS,
    wireType: WireType.LengthDelimited,
    data: new BinaryWriter().bytes(bytes).finish(),
  }
  encoded.set(finding, field)
  return field
}
