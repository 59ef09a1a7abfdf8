import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf"
import { anyUnpack, timestampDate } from "@bufbuild/protobuf/wkt"
import { type ServiceError, status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AttestationService, VerifyRequestSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { DeviceService, RegisterDeviceRequestSchema } from "../../src/gen/assay/v1/device_pb.ts"
import { HashAlgorithm } from "../../src/gen/assay/v1/evidence_pb.ts"
import { EndorsedKey, RevocationStatus } from "../../src/gen/assay/v1/result_pb.ts"
import { BadRequestSchema, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts"
import type { EndorsementResult } from "../../src/result/endorsement.ts"
import { pathOf } from "../../src/rpc.ts"
import { goodVerify, inFolder, ones, type Running, rawCall, result, running } from "./fake.ts"

const test = suite("certificates on the wire")

type Verify = MessageInitShape<typeof VerifyRequestSchema>
type Register = Omit<MessageInitShape<typeof RegisterDeviceRequestSchema>, "$typeName">

const withChain = (akCertificateChain: Uint8Array[]): Verify => ({
  freshness: { case: "challenge", value: ones(100) },
  evidence: {
    kind: {
      case: "tpm",
      value: {
        akName: ones(34),
        attest: ones(129),
        signature: ones(262),
        pcrBanks: [{ hash: HashAlgorithm.SHA256, values: ones(32) }],
        akCertificateChain,
      },
    },
  },
})
const verifyBytes = (request: Verify): Uint8Array =>
  toBinary(VerifyRequestSchema, create(VerifyRequestSchema, request))
const registerBytes = (request: Register): Uint8Array =>
  toBinary(
    RegisterDeviceRequestSchema,
    create(RegisterDeviceRequestSchema, { id: "device-1", akPublic: ones(90), ...request }),
  )
const chainOf = (...sizes: readonly number[]): Uint8Array[] => sizes.map(ones)

/** A server with the administrator's socket beside the port. */
const withServer = async (
  act: (server: Running, admin: string) => Promise<void>,
  overrides: Parameters<typeof running>[0] = {},
): Promise<void> =>
  inFolder(async (folder) => {
    const server = await running(overrides, { admin: `unix:${folder}/admin.sock` })
    try {
      await act(server, server.addresses[1] ?? "")
    } finally {
      await server.stop()
    }
  })

const detailsOf = (error: ServiceError | undefined) => {
  const [bytes] = error?.metadata.get("grpc-status-details-bin") ?? []
  const { details } = fromBinary(StatusSchema, bytes instanceof Buffer ? bytes : new Uint8Array())
  return {
    status: error?.code,
    reasons: details.flatMap((any) => anyUnpack(any, ErrorInfoSchema)?.reason ?? []),
    fields: details.flatMap(
      (any) => anyUnpack(any, BadRequestSchema)?.fieldViolations.map(({ field }) => field) ?? [],
    ),
  }
}

test("hands the service the chain of the evidence in its order", () =>
  withServer(async ({ client, seen }) => {
    await client.verify(withChain(chainOf(700, 600, 500)))
    const input = JSON.stringify(seen.at(-1)?.input, (_, value: unknown) =>
      value instanceof Uint8Array ? value.length : value,
    )
    assert.match(input, '"akCertificateChain":[700,600,500]')
  }))

test("takes as many certificates as a chain may have, of the greatest size", () =>
  withServer(async ({ client, seen }) => {
    await client.verify(withChain(Array.from({ length: 8 }, () => ones(16_384))))
    assert.is(seen.length, 1)
  }))

const wrongChains: readonly (readonly [name: string, chain: Uint8Array[], path: string])[] = [
  ["nine certificates", chainOf(...Array.from({ length: 9 }, () => 10)), ""],
  ["a certificate of no bytes", chainOf(0), "[0]"],
  ["a certificate of no bytes behind a good one", chainOf(700, 0), "[1]"],
  ["a certificate over 16 KiB", chainOf(16_385), "[0]"],
  ["a seventh certificate over 16 KiB", chainOf(9, 9, 9, 9, 9, 9, 16_385), "[6]"],
]
for (const [name, chain, path] of wrongChains) {
  test(`refuses X-14 and X-17 ${name} in evidence, by its path`, () =>
    withServer(async ({ address, seen }) => {
      const { error } = await rawCall(
        address,
        pathOf(AttestationService.method.verify),
        verifyBytes(withChain(chain)),
      )
      assert.equal(detailsOf(error), {
        status: status.INVALID_ARGUMENT,
        reasons: ["FIELD"],
        fields: [`evidence.tpm.ak_certificate_chain${path}`],
      })
      assert.is(seen.length, 0)
    }))
  for (const field of ["ak_certificate_chain", "ek_certificate_chain"] as const)
    test(`refuses X-14 and X-17 ${name} for ${field}, by its path`, () =>
      withServer(async ({ seen }, admin) => {
        const given =
          field === "ak_certificate_chain" ? { akCertificateChain: chain } : { ekCertificateChain: chain }
        const { error } = await rawCall(
          admin,
          pathOf(DeviceService.method.registerDevice),
          registerBytes(given),
        )
        assert.equal(detailsOf(error), {
          status: status.INVALID_ARGUMENT,
          reasons: ["FIELD"],
          fields: [`${field}${path}`],
        })
        assert.is(seen.length, 0)
      }))
}

test("refuses an endorsement key over 2 KiB, by its path", () =>
  withServer(async (_, admin) => {
    const { error } = await rawCall(
      admin,
      pathOf(DeviceService.method.registerDevice),
      registerBytes({ ekPublic: ones(2049) }),
    )
    assert.equal(detailsOf(error).fields, ["ek_public"])
  }))

test("hands the service what a device is registered with, and nothing for what is left out", () =>
  withServer(async ({ seen }, admin) => {
    const call = async (request: Register): Promise<unknown> => {
      await rawCall(admin, pathOf(DeviceService.method.registerDevice), registerBytes(request))
      const input = seen.at(-1)?.input
      return typeof input === "object" && input !== null ? Reflect.get(input, "endorsement") : undefined
    }
    assert.equal(await call({}), { ekCertificateChain: [], akCertificateChain: [], ekPublic: undefined })
    const all = { ekCertificateChain: chainOf(3, 2), akCertificateChain: chainOf(5), ekPublic: ones(7) }
    assert.equal(await call(all), all)
  }))

test("gives what was believed of a key, of whom, and what was looked at", async () => {
  const endorsement: EndorsementResult = {
    key: "ek",
    tpm: {
      manufacturer: "id:49465800",
      vendor: "IFX",
      model: "SLB 9670",
      version: "id:00070055",
      specification: { family: "2.0", level: 0, revision: 138 },
      securityAssertions: undefined,
    },
    anchor: "CN=Maker",
    anchorId: "a1".repeat(32),
    revocation: [
      {
        certificate: "leaf",
        fingerprint: "b2".repeat(32),
        status: "good",
        thisUpdate: new Date(1000),
        nextUpdate: new Date(2000),
      },
      { certificate: "CA", fingerprint: "c3".repeat(32), status: "not-published" },
      { certificate: "CA", fingerprint: "d4".repeat(32), status: "not-checked" },
    ],
    deviations: ["nv-padding"],
    expired: true,
    validUntil: new Date("9999-12-31T23:59:59Z"),
  }
  const bare: EndorsementResult = {
    ...endorsement,
    key: "ak",
    tpm: undefined,
    revocation: [],
    deviations: [],
    expired: false,
  }
  await withServer(
    async ({ client }) => {
      const [ek, ak] = (await client.verify(goodVerify())).result?.endorsements ?? []
      assert.equal([ek?.key, ak?.key], [EndorsedKey.EK, EndorsedKey.AK])
      assert.equal(
        [ek?.manufacturer, ek?.vendor, ek?.model, ek?.version],
        ["id:49465800", "IFX", "SLB 9670", "id:00070055"],
      )
      assert.is(ek?.specification, "2.0 level 0 revision 138")
      assert.equal([ek?.anchor, ek?.anchorDigest], ["CN=Maker", new Uint8Array(32).fill(0xa1)])
      assert.equal(
        ek?.revocation.map(({ status: known }) => known),
        [RevocationStatus.GOOD, RevocationStatus.NOT_PUBLISHED, RevocationStatus.NOT_CHECKED],
      )
      const [good, unpublished] = ek?.revocation ?? []
      assert.equal([good?.thisUpdate?.seconds, good?.nextUpdate?.seconds], [1n, 2n])
      assert.is(unpublished?.thisUpdate, undefined)
      assert.equal(ek?.deviations, ["nv-padding"])
      assert.equal([ek?.expired, ak?.expired], [true, false])
      assert.is(ek?.validUntil && timestampDate(ek.validUntil).getTime(), endorsement.validUntil.getTime())
      assert.equal([ak?.manufacturer, ak?.vendor, ak?.specification], ["", "", ""])
    },
    { verify: async () => ({ ...result(), endorsements: [endorsement, bare] }) },
  )
})

test.run()
