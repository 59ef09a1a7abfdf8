import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf"
import { status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type AdminClient, createAdminClient } from "../../src/client/admin.ts"
import { AssayError } from "../../src/errors.ts"
import {
  AnchorPurpose,
  AnchorRevocation,
  ImportTrustRequestSchema,
  TrustService,
} from "../../src/gen/assay/v1/trust_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { createService, type Service } from "../../src/service/service.ts"
import { rejectsCode } from "../support/assert.ts"
import { createTestService, START } from "../support/service.ts"
import * as x509 from "../support/x509.ts"
import { fakeService, inFolder, ones, type Running, rawCall, running, type Seen } from "./fake.ts"

const test = suite("TrustService")

/** One server for all tests: what each was asked, and what it answers an import with instead. */
let server: Running
let admin: AdminClient
let folder: string
let failure: AssayError | undefined

test.before(async () => {
  folder = mkdtempSync(join(tmpdir(), "assay-"))
  const service: Service = fakeService(seen)
  server = await running(
    {},
    {
      service: {
        ...service,
        importTrust: (input, caller) =>
          failure === undefined ? service.importTrust(input, caller) : Promise.reject(failure),
      },
      admin: `unix:${folder}/admin.sock`,
    },
  )
  admin = createAdminClient(server.addresses[1] ?? "")
})
test.before.each(() => {
  seen.length = 0
  failure = undefined
})
test.after(async () => {
  admin.close()
  await server.stop()
  rmSync(folder, { recursive: true })
})
const seen: Seen = []
const asked = (): unknown[] => seen.map(({ method, input }) => [method, input])

type Import = MessageInitShape<typeof ImportTrustRequestSchema>
const newAnchor = (changed: Partial<NonNullable<Import["anchors"]>[number]> = {}) => ({
  certificate: ones(400),
  label: "Maker root",
  purpose: AnchorPurpose.EK,
  revocation: AnchorRevocation.WHEN_PUBLISHED,
  provenance: "by hand",
  ...changed,
})

test("hands an import on, with words for its numbers", async () => {
  const answer = await admin.importTrust({
    anchors: [
      newAnchor(),
      newAnchor({ purpose: AnchorPurpose.ANY, revocation: AnchorRevocation.OFF, provenance: "" }),
    ],
    intermediates: [{ certificate: ones(300) }],
    crls: [{ crl: ones(200) }],
    eks: [{ digest: ones(32), label: "" }],
  })
  assert.equal([answer.generation, answer.added, answer.changed], [8n, 3n, 2n])
  const anchor = { certificate: ones(400), label: "Maker root" }
  assert.equal(asked(), [
    [
      "importTrust",
      {
        anchors: [
          { ...anchor, purpose: "ek", revocation: "when-published", provenance: "by hand" },
          { ...anchor, purpose: "any", revocation: "off", provenance: "" },
        ],
        intermediates: [ones(300)],
        crls: [ones(200)],
        eks: [{ digest: ones(32), label: "" }],
      },
    ],
  ])
  assert.is(seen[0]?.caller.tenant, "default")
})

test("hands on pages, with the size that is meant where none is said", async () => {
  const { anchors, nextPageToken } = await admin.listAnchors({ purpose: AnchorPurpose.EK })
  assert.is(nextPageToken, "a1".repeat(32))
  const [anchor] = anchors
  assert.equal(
    [anchor?.purpose, anchor?.revocation, anchor?.subject, anchor?.notAfter?.seconds],
    [AnchorPurpose.EK, AnchorRevocation.WHEN_PUBLISHED, "CN=Maker \\u{1b}[2J", 253402300799n],
  )
  await admin.listAnchors({ pageSize: 7, pageToken: nextPageToken })
  const { intermediates } = await admin.listIntermediates({ pageSize: 1000 })
  const { crls } = await admin.listCrls({})
  const { eks } = await admin.listEks({})
  assert.equal([intermediates[0]?.issuer, crls[0]?.entries, eks[0]?.label], ["CN=Maker", 100_000n, "rack 4"])
  assert.is(crls[0]?.nextUpdate, undefined)
  assert.equal(asked(), [
    ["anchors", { max: 100, after: undefined, purpose: "ek" }],
    ["anchors", { max: 7, after: nextPageToken, purpose: undefined }],
    ["intermediates", { max: 1000, after: undefined }],
    ["crls", { max: 100, after: undefined }],
    ["listedEks", { max: 100, after: undefined }],
  ])
})

test("hands on single things and the state", async () => {
  const { anchor, certificate } = await admin.getAnchor("a1a1a1a1")
  assert.equal([anchor?.id, certificate], ["a1".repeat(32), ones(400)])
  assert.is((await admin.removeTrust("a1a1a1a1")).id, "a1".repeat(32))
  const { issuers } = await admin.listPendingIssuers()
  assert.equal([issuers[0]?.issuer, issuers[0]?.count], ["CN=Nobody \\u{1b}[2J", 2n])
  assert.equal((await admin.getPendingIssuer("d4d4d4d4")).chain, [ones(500), ones(400)])
  assert.is((await admin.dismissPendingIssuer("d4d4d4d4")).id, "d4".repeat(32))
  const { generation, anchors, intermediates, eks, pendingIssuers, crls } = await admin.getTrustState()
  assert.equal([generation, anchors, intermediates, eks, pendingIssuers, crls], [7n, 1n, 2n, 3n, 4n, 5n])
  assert.equal(asked(), [
    ["anchor", "a1a1a1a1"],
    ["removeTrust", "a1a1a1a1"],
    ["pendingIssuers", undefined],
    ["pendingIssuer", "d4d4d4d4"],
    ["dismissIssuer", "d4d4d4d4"],
    ["trustState", undefined],
  ])
})

/** Numbers outside the enum travel as well as those within. */
const UNKNOWN = 4 as AnchorPurpose
const many = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item)
const refused: [name: string, request: Import, field: string][] = [
  [
    "an anchor without a certificate",
    { anchors: [newAnchor({ certificate: ones(0) })] },
    "anchors[0].certificate",
  ],
  [
    "an anchor over 256 KiB",
    { anchors: [newAnchor({ certificate: ones(262_145) })] },
    "anchors[0].certificate",
  ],
  ["an anchor without a label", { anchors: [newAnchor({ label: "" })] }, "anchors[0].label"],
  ["a label over 128 characters", { anchors: [newAnchor({ label: "x".repeat(129) })] }, "anchors[0].label"],
  ["a label that steers a terminal", { anchors: [newAnchor({ label: "\u001b[2J" })] }, "anchors[0].label"],
  ["a label of two lines", { anchors: [newAnchor({ label: "a\n" })] }, "anchors[0].label"],
  ["an anchor without a purpose", { anchors: [newAnchor({ purpose: 0 })] }, "anchors[0].purpose"],
  ["an anchor with an unknown purpose", { anchors: [newAnchor({ purpose: UNKNOWN })] }, "anchors[0].purpose"],
  ["an anchor without a mode", { anchors: [newAnchor({ revocation: 0 })] }, "anchors[0].revocation"],
  [
    "a provenance over 512 characters",
    { anchors: [newAnchor({ provenance: "x".repeat(513) })] },
    "anchors[0].provenance",
  ],
  ["an empty intermediate", { intermediates: [{ certificate: ones(0) }] }, "intermediates[0].certificate"],
  ["an empty list", { crls: [{ crl: ones(0) }] }, "crls[0].crl"],
  ["a list over 32 MiB", { crls: [{ crl: ones((32 << 20) + 1) }] }, "crls[0].crl"],
  ["a digest of 31 bytes", { eks: [{ digest: ones(31) }] }, "eks[0].digest"],
  ["1,001 anchors", { anchors: many(1001, newAnchor({ certificate: ones(1) })) }, "anchors"],
  ["1,001 keys", { eks: many(1001, { digest: ones(32) }) }, "eks"],
  ["65 lists", { crls: many(65, { crl: ones(1) }) }, "crls"],
]
test("refuses an import that breaks a rule, with the field, before anybody is asked", async () => {
  for (const [name, request, field] of refused) {
    const error = await rejectsCode(() => admin.importTrust(request), "FIELD")
    assert.is(error.location, field, name)
  }
  assert.equal(seen, [])
})

test("refuses ids and page tokens that are none", async () => {
  for (const id of ["", "abcdef0", "ABCDEF01", "a".repeat(65), "../../etc"]) {
    await rejectsCode(() => admin.getAnchor(id), "FIELD")
    await rejectsCode(() => admin.removeTrust(id), "FIELD")
    await rejectsCode(() => admin.getPendingIssuer(id), "FIELD")
    await rejectsCode(() => admin.dismissPendingIssuer(id), "FIELD")
  }
  await rejectsCode(() => admin.listEks({ pageToken: "abcdef01" }), "FIELD")
  await rejectsCode(() => admin.listEks({ pageSize: 1001 }), "FIELD")
  assert.equal(seen, [])
})

test("takes as many fields as an import has, and no more", async () => {
  await admin.importTrust({
    anchors: many(1000, newAnchor({ certificate: ones(1) })),
    intermediates: many(1000, { certificate: ones(1) }),
    crls: many(64, { crl: ones(1) }),
    eks: many(1000, { digest: ones(32), label: "x" }),
  })
  const request = toBinary(
    ImportTrustRequestSchema,
    create(ImportTrustRequestSchema, { eks: many(12_001, {}) }),
  )
  const path = pathOf(TrustService.method.importTrust)
  const { error } = await rawCall(server.addresses[1] ?? "", path, request)
  assert.is(error?.code, status.INVALID_ARGUMENT)
  assert.is(seen.length, 1)
})

test("takes a revocation list of 32 MiB, and no request over 36 MiB", async () => {
  assert.is((await admin.importTrust({ crls: [{ crl: ones(32 << 20) }] })).added, 3n)
  const path = pathOf(TrustService.method.importTrust)
  const { error } = await rawCall(server.addresses[1] ?? "", path, ones((36 << 20) + 1))
  assert.is(error?.code, status.RESOURCE_EXHAUSTED)
  assert.is(seen.length, 1)
})

test("refuses G-11 whoever is a gateway by its connection alone", async () => {
  for (const method of TrustService.methods) {
    const { error } = await rawCall(server.address, pathOf(method), new Uint8Array())
    assert.is(error?.code, status.PERMISSION_DENIED, method.name)
  }
  assert.equal(seen, [])
})

const failures: [code: ConstructorParameters<typeof AssayError>[0], status: status][] = [
  ["ISSUER_NOT_CA", status.FAILED_PRECONDITION],
  ["DER", status.INVALID_ARGUMENT],
  ["TRUST_FULL", status.RESOURCE_EXHAUSTED],
  ["REGISTRY", status.UNAVAILABLE],
]
for (const [code, expected] of failures)
  test(`answers ${code} with ${status[expected]}, and where it was`, async () => {
    failure = new AssayError(code, "no", { location: "anchors[0]" })
    const error = await rejectsCode(() => admin.importTrust({ anchors: [newAnchor()] }), code)
    assert.is(error.location, "anchors[0]")
    assert.ok(server.lines.some((line) => line["code"] === status[expected]))
  })

test("imports into the store and out of it again, over the whole way", () =>
  inFolder(async (folder) => {
    const world = createTestService()
    const server = await running(
      {},
      { service: createService(world.ports), admin: `unix:${folder}/admin.sock` },
    )
    const admin = createAdminClient(server.addresses[1] ?? "")
    try {
      const { generation } = await admin.getTrustState()
      const root = x509.makeCertificate(
        x509.ROOT_KEYS,
        x509.ROOT_KEYS,
        x509.cn("Maker"),
        x509.cn("Maker"),
        x509.caExtensions(),
      )
      const good = newAnchor({ certificate: root })
      const bad = newAnchor({ certificate: x509.makeChain("ek").leaf })
      const error = await rejectsCode(() => admin.importTrust({ anchors: [good, bad] }), "ISSUER_NOT_CA")
      assert.is(error.location, "anchors[1]")
      assert.is((await admin.getTrustState()).generation, generation)
      assert.is((await admin.importTrust({ anchors: [good] })).generation, generation + 1n)
      const { anchors } = await admin.listAnchors({ purpose: AnchorPurpose.EK })
      const [anchor] = anchors
      assert.equal([anchors.length, anchor?.subject, anchor?.label], [1, "CN=Maker", "Maker root"])
      assert.is(anchor?.createTime?.seconds, BigInt(START.getTime() / 1000))
      const id = anchor?.id ?? ""
      assert.equal((await admin.getAnchor(id.slice(0, 8))).certificate, root)
      assert.equal(await admin.removeTrust(id.slice(0, 12)).then((answer) => answer.id), id)
      await rejectsCode(() => admin.getAnchor(id), "TRUST_NOT_FOUND")
      const acts = (await world.journal.records("default")).map(({ act }) => act)
      assert.equal(acts.sort(), ["import-trust", "remove-trust"])
    } finally {
      admin.close()
      await server.stop()
      world.close()
    }
  }))

test.run()
