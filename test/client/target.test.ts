import { create } from "@bufbuild/protobuf"
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../src/bytes.ts"
import { connect } from "../../src/client/connection.ts"
import { channelTo, type TlsOptions } from "../../src/client/target.ts"
import { AttestationService, GetEpochResponseSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { definitionOf } from "../../src/rpc.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { caExtensions, cn, dns, makeCertificate, p256Keys, subjectAltName } from "../support/x509.ts"

const test = suite("channelTo")

const remote: [address: string, target: string][] = [
  ["assay.example:7443", "dns:assay.example:7443"],
  ["localhost:7443", "dns:localhost:7443"],
]
for (const [address, target] of remote)
  test(`leads with TLS to ${address}`, () => assert.is(channelTo(address, {}).target, target))

const refused: [what: string, address: string, tls: TlsOptions | undefined][] = [
  ["another machine without TLS", "assay.example:7443", undefined],
  ["another machine's address without TLS", "10.0.0.1:7443", undefined],
  ["a socket with TLS", "unix:/run/assay.sock", {}],
  ["an IPv4 address", "10.0.0.1:7443", {}],
  ["an IPv6 address", "[2001:db8::1]:7443", {}],
  ["no port", "assay.example", {}],
  ["port 0", "assay.example:0", {}],
  ["a port of six digits", "assay.example:100000", {}],
  ["port 65536", "assay.example:65536", {}],
  ["an empty host", ":7443", {}],
  ["a scheme", "https://assay.example:7443", {}],
  ["a scheme of gRPC", "dns:assay.example:7443", {}],
  ["a path", "assay.example:7443/x", {}],
  ["G-12 a newline", "assay.example:7443\n", {}],
  ["G-12 a host with an escape sequence of a terminal", "\u001b[2J:7443", {}],
  ["G-12 a host with a look-alike", "\u0430ssay.example:7443", {}],
  ["G-12 a host of path parts", "../assay:7443", {}],
  ["G-12 a host of 254 characters", `${"a.".repeat(126)}aa:7443`, {}],
  ["a certificate without its key", "assay.example:7443", { certificate: utf8("x") }],
  ["a key without its certificate", "assay.example:7443", { key: utf8("x") }],
  ["a certificate that is no PEM", "assay.example:7443", { certificate: utf8("x"), key: utf8("x") }],
]
for (const [what, address, tls] of refused)
  test(`refuses ${what}`, () => {
    throwsCode(() => channelTo(address, tls), "INPUT")
  })

const pem = (label: string, der: Uint8Array): Uint8Array =>
  utf8(
    `-----BEGIN ${label}-----\n${Buffer.from(der).toString("base64").replace(/.{64}/g, "$&\n")}\n-----END ${label}-----\n`,
  )
const caKeys = p256Keys()
const otherKeys = p256Keys()
const caPem = (keys = caKeys) =>
  pem("CERTIFICATE", makeCertificate(keys, keys, cn("CA"), cn("CA"), caExtensions()))
const identity = (subject: string) => {
  const keys = p256Keys()
  const extensions = [subjectAltName([dns("localhost")])]
  const der = makeCertificate(keys, caKeys, cn(subject), cn("CA"), extensions)
  return {
    certificate: pem("CERTIFICATE", der),
    key: utf8(keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString()),
  }
}

/** A server with TLS that wants a certificate, and tells the peer's name as its epoch's token. */
const served = async () => {
  const server = new Server()
  const { certificate: cert_chain, key: private_key } = identity("server")
  server.addService(definitionOf(AttestationService), {
    getEpoch: (call: ServerUnaryCall<unknown, unknown>, answer: sendUnaryData<unknown>) => {
      const token = call.getAuthContext().sslPeerCertificate?.subject.CN ?? "nobody"
      answer(null, create(GetEpochResponseSchema, { token: String(token) }))
    },
  })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      ServerCredentials.createSsl(
        Buffer.from(caPem()),
        [{ cert_chain: Buffer.from(cert_chain), private_key: Buffer.from(private_key) }],
        true,
      ),
      (error, bound) => (error === null ? resolve(bound) : reject(error)),
    ),
  )
  return { address: `localhost:${port}`, close: () => server.forceShutdown() }
}
const ask = async (address: string, tls: TlsOptions | undefined): Promise<string> => {
  const connection = connect(address, { ...(tls && { tls }), deadlineMs: 2000 })
  try {
    return (await connection.unary(AttestationService.method.getEpoch, {})).token
  } finally {
    connection.close()
  }
}

test("knows a server by its authority, and shows it who calls", async () => {
  const { address, close } = await served()
  try {
    const own = identity("gate-7")
    assert.is(await ask(address, { ca: caPem(), ...own }), "gate-7")
    await rejectsCode(() => ask(address, { ca: caPem() }), "NO_ANSWER")
    await rejectsCode(() => ask(address, { ca: caPem(otherKeys), ...own }), "NO_ANSWER")
    await rejectsCode(() => ask(address, own), "NO_ANSWER")
    await rejectsCode(() => ask(address, undefined), "NO_ANSWER")
  } finally {
    close()
  }
})

test("refuses a key that is not the certificate's", () => {
  const { certificate: cert } = identity("gate-7")
  throwsCode(
    () => channelTo("assay.example:7443", { certificate: cert, key: identity("gate-7").key }),
    "INPUT",
  )
})

test.run()
