import { hash } from "node:crypto"
import { Client, credentials } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AttestationService } from "../../src/gen/assay/v1/attestation_pb.ts"
import { DeviceService } from "../../src/gen/assay/v1/device_pb.ts"
import { TrustService } from "../../src/gen/assay/v1/trust_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import {
  type Holder,
  makeAuthority,
  makeClient,
  makeServerCertificate,
  validity,
} from "../support/callers.ts"
import { connectAs, edge, GET_EPOCH, gateway, operator, outcomeOf, outcomeOn, serving } from "./tls.ts"

const test = suite("callers with TLS")
const issuing = makeAuthority("Edge Issuing CA", edge)
const below = makeClient(issuing, "spiffe://acme.example/below")
const own = makeAuthority("Device CA")

test("knows who holds which certificate, with the CAs that came along", () =>
  serving(async ({ address, seen }) => {
    assert.is(await outcomeOf(address, gateway), "OK")
    assert.is(await outcomeOf(address, below, [issuing]), "OK")
    assert.equal(
      seen.map(({ caller }) => `${caller.tenant} ${caller.id}`),
      ["acme cert:edge:spiffe://acme.example/gateway", "acme cert:edge:spiffe://acme.example/below"],
    )
  }))
test("knows a device by a certificate of Assay's own CA, for itself", () =>
  serving(
    async ({ address, seen }) => {
      assert.is(
        await outcomeOf(address, makeClient(own, "spiffe://assay.example/tenant/acme/device/pump-7")),
        "OK",
      )
      const [{ caller } = { caller: undefined }] = seen
      assert.equal([caller?.tenant, caller?.id], ["acme", "device:pump-7"])
      assert.equal(caller?.own, { kind: "device", id: "pump-7" })
    },
    () => ({
      clientCertificates: [],
      deviceAuthority: {
        certificates: () => [own.der],
        deviceOf: (uri) =>
          uri.endsWith("/device/pump-7") ? { tenant: "acme", device: "pump-7" } : undefined,
      },
    }),
  ))

const unknown: [name: string, holder: Holder | undefined][] = [
  ["without a certificate", undefined],
  ["with a certificate of another CA", makeClient(makeAuthority("Nobody's CA"))],
  [
    "with a certificate that is over",
    makeClient(edge, "spiffe://acme.example/gateway", { validity: validity("2020-01-01", "2021-01-01") }),
  ],
  ["with a certificate below a CA that does not come along", below],
  ["with the CA's name and another key", makeClient(makeAuthority("Edge CA"))],
  ["with a server's certificate", makeServerCertificate(edge)],
]
test("refuses G-11 clients that are nobody's", () =>
  serving(async ({ address, seen, lines }) => {
    for (const [name, holder] of unknown) assert.is(await outcomeOf(address, holder), "CALLER_UNKNOWN", name)
    assert.equal(seen, [])
    const answers = lines.flatMap(({ reason, code }) => (reason === "CALLER_UNKNOWN" ? [code] : []))
    assert.equal(answers, Array(unknown.length).fill("UNAUTHENTICATED"))
  }))

const roles: [role: string, holder: Holder, mayCall: (method: string) => boolean][] = [
  ["a gateway", gateway, (method) => method.includes("Attestation")],
  ["an operator", operator, (method) => !method.includes("Attestation")],
]
for (const [role, holder, mayCall] of roles)
  test(`refuses G-11 ${role} with TLS what its role may not call`, () =>
    serving(async ({ address }) => {
      const client = connectAs(address, holder)
      const { getEpoch } = AttestationService.method
      for (const method of [getEpoch, DeviceService.method.getDevice, TrustService.method.importTrust]) {
        const outcome = await outcomeOn(client, pathOf(method))
        assert.is(outcome === "PERMISSION", !mayCall(pathOf(method)), `${method.name}: ${outcome}`)
      }
      client.close()
    }))

test("refuses G-11 a local credential from beyond this machine", () =>
  serving(
    async ({ address, seen }) => {
      const client = connectAs(address)
      const headers = { authorization: "Bearer s3cret" }
      assert.is(await outcomeOn(client, GET_EPOCH, headers), "CALLER_UNKNOWN")
      assert.equal(seen, [])
      client.close()
    },
    () => ({
      credentials: [
        { name: "edge", role: "gateway", tenant: "default", sha256: hash("sha256", "s3cret", "buffer") },
      ],
    }),
  ))
test("refuses G-11 anonymous callers with TLS, also where those of this machine are served", () =>
  serving(
    async ({ address, seen }) => {
      assert.is(await outcomeOf(address, undefined), "CALLER_UNKNOWN")
      assert.equal(seen, [])
    },
    () => ({ anonymous: true, development: true }),
  ))
test("refuses G-11 a tenant of the caller's choice", () =>
  serving(async ({ address, seen }) => {
    const client = connectAs(address, gateway)
    for (const tenant of ["default", "acme", "", "../acme"])
      assert.is(await outcomeOn(client, GET_EPOCH, { "assay-tenant": tenant }), "PERMISSION")
    assert.equal(seen, [])
    client.close()
  }))
test("refuses G-11 plaintext on a port with TLS", () =>
  serving(async ({ address, seen }) => {
    const client = new Client(address, credentials.createInsecure())
    assert.is(await outcomeOn(client), "NO_ANSWER")
    assert.equal(seen, [])
    client.close()
  }))
test("is healthy for anyone, with a certificate or without", () =>
  serving(async ({ address }) => {
    for (const holder of [undefined, gateway, makeClient(makeAuthority("Nobody's CA"))])
      assert.is(await outcomeOf(address, holder, [], "/grpc.health.v1.Health/Check"), "OK")
  }))
test("answers what it has taken before it stops, and takes nothing more", () =>
  serving(async ({ address, stop }) => {
    const client = connectAs(address, gateway)
    assert.is(await outcomeOn(client), "OK")
    await stop()
    assert.is(await outcomeOn(client), "NO_ANSWER")
    assert.is(await outcomeOf(address, gateway), "NO_ANSWER")
    client.close()
  }))
test.run()
