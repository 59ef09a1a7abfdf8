/** `assay device` and `assay enrollment-token`, against a server that only remembers what it was asked. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { create, toJsonString } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../src/bytes.ts"
import type { DeviceCalls } from "../../src/cli/device-calls.ts"
import type { AdminCalls, Reach } from "../../src/cli/parts.ts"
import { AssayError } from "../../src/errors.ts"
import * as pb from "../../src/gen/assay/v1/device_pb.ts"
import { DeviceState } from "../../src/gen/assay/v1/enrollment_pb.ts"
import { Tier } from "../../src/gen/assay/v1/result_pb.ts"
import { assay, fileOf, jsonOf, noDevices, noJournal, noTrust, type RunOptions } from "./run.ts"

const test = suite("assay device and enrollment-token")

const AT = { seconds: 1767323045n, nanos: 0 }
const INSTANT = "2026-01-02T03:04:05.000Z"

const INSTANCE = { provider: "gce", project: "presses", zone: "z-1", id: "8001", name: "vm-12" }

const deviceOf = (id: string, changed: Partial<pb.Device> = {}): pb.Device => ({
  ...create(pb.DeviceSchema, {
    id,
    akName: utf8("name"),
    revision: 3n,
    policy: "fleet",
    createTime: AT,
    state: DeviceState.ACTIVE,
    freshness: pb.Freshness.DUE,
    group: "edge",
    labels: { site: "north 4", rack: "2" },
    claimedName: "press \u001b[2J",
    ekDigest: utf8("ek"),
    binding: pb.KeyBinding.ACTIVATION,
    tpm: { manufacturer: "IFX", model: "SLB 9670", version: "id:00070055" },
    instance: create(pb.CloudInstanceSchema, INSTANCE),
    attestTime: AT,
    attestTier: Tier.WARNING,
    attestCode: "AK_BINDING_UNPROVEN",
    sessionTime: AT,
    clock: { clockMs: 5n, resetCount: 6, restartCount: 7, safe: false },
    permit: { reason: pb.EnrollmentReason.BOARD_SWAP, ekDigest: utf8("new"), expireTime: AT },
    etag: "e3",
  }),
  ...changed,
})
const exportOf = (id: string): pb.DeviceExport =>
  create(pb.DeviceExportSchema, { id, akPublic: utf8("key"), createTime: AT, state: DeviceState.ACTIVE })
const token = create(pb.EnrollmentTokenSchema, {
  id: "et-1",
  uses: 2,
  usesMax: 5,
  createTime: AT,
  expireTime: AT,
  group: "edge",
  labels: { site: "north" },
})

interface Call {
  readonly method: string
  readonly request: unknown
}

/** A server with as many devices as it is told to have. */
const fakeServer = (changed: Partial<DeviceCalls> = {}, count = 2) => {
  const calls: Call[] = []
  const reached: [address: string, reach: Reach][] = []
  let open = 0
  const called = (method: string, request: unknown): void => void calls.push({ method, request })
  const change = (method: string) => async (request: { readonly id?: string }) => {
    called(method, request)
    return { device: deviceOf(request.id ?? "") }
  }
  const never = () => Promise.reject(new TypeError("no policy is asked for in this test"))
  const admin: AdminCalls = {
    ...noTrust,
    ...noDevices,
    ...noJournal,
    getDevice: async (id) => change("getDevice")({ id }),
    listDevices: async (request) => {
      called("listDevices", request)
      const from = Number(request.pageToken || 0)
      const to = Math.min(count, from + (request.pageSize ?? 0))
      const devices = Array.from({ length: to - from }, (_, i) => deviceOf(`gate-${from + i}`))
      return create(pb.ListDevicesResponseSchema, { devices, nextPageToken: to < count ? String(to) : "" })
    },
    updateDevice: change("updateDevice"),
    approveDevice: change("approveDevice"),
    suspendDevice: change("suspendDevice"),
    resumeDevice: change("resumeDevice"),
    revokeDevice: change("revokeDevice"),
    retireDevice: change("retireDevice"),
    transferDevice: change("transferDevice"),
    acceptFirmware: change("acceptFirmware"),
    deleteDevice: change("deleteDevice"),
    permitEnrollment: change("permitEnrollment"),
    importDevices: async (devices) => {
      const ids: string[] = []
      for await (const { id = "" } of devices) ids.push(id)
      called("importDevices", ids)
      return create(pb.ImportDevicesResponseSchema, { added: BigInt(ids.length), unchanged: 1n })
    },
    exportDevices: async function* (filter) {
      called("exportDevices", filter)
      for (let i = 0; i < count; i++) yield exportOf(`gate-${i}`)
    },
    createEnrollmentToken: async (request) => {
      called("createEnrollmentToken", request)
      return create(pb.CreateEnrollmentTokenResponseSchema, { token, secret: "aet_secret" })
    },
    listEnrollmentTokens: async (request) => {
      called("listEnrollmentTokens", request)
      return create(pb.ListEnrollmentTokensResponseSchema, { tokens: [token] })
    },
    revokeEnrollmentToken: async (id) => {
      called("revokeEnrollmentToken", id)
      return {}
    },
    setPolicy: never,
    assignPolicy: never,
    getPolicy: never,
    close: () => {
      open--
    },
    ...changed,
  }
  const adminClient = (address: string, reach: Reach): AdminCalls => {
    reached.push([address, reach])
    open++
    return admin
  }
  const run = async (argv: readonly string[], options: RunOptions = {}) => {
    const ran = await assay(argv, { ...options, parts: { adminClient } })
    assert.is(open, 0, "every connection is closed")
    return ran
  }
  return { calls, reached, run }
}

const inFolder = async (act: (folder: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "assay-cli-devices-"))
  try {
    await act(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
/** The table that a person sees. */
const TERMINAL = { isTerminal: true } as const

test("shows all of a device, and nothing that could steer a terminal", async () => {
  const { run } = fakeServer()
  const json = jsonOf(await run(["device", "show", "gate-7"]))
  assert.equal(json, {
    id: "gate-7",
    state: "active",
    freshness: "due",
    group: "edge",
    labels: { site: "north 4", rack: "2" },
    policy: "fleet",
    claimedName: "press \u001b[2J",
    akName: "6e616d65",
    ekDigest: "656b",
    binding: "activation",
    tpm: { manufacturer: "IFX", model: "SLB 9670", version: "id:00070055" },
    instance: INSTANCE,
    createdAt: INSTANT,
    attestedAt: INSTANT,
    tier: "warning",
    code: "AK_BINDING_UNPROVEN",
    sessionAt: INSTANT,
    clock: { clockMs: "5", resetCount: 6, restartCount: 7, safe: false, firmwareVersion: null },
    permit: { reason: "board-swap", ekDigest: "6e6577", akName: null, expiresAt: INSTANT },
    revision: 3,
    etag: "e3",
  })
  const { out } = await run(["device", "show", "gate-7"], TERMINAL)
  assert.match(out, /^called itself +press \\u\{1b\}\[2J$/m)
  assert.match(out, /^labels +rack=2\n +site=north 4$/m)
  assert.match(out, /^attested +2026-01-02T03:04:05\.000Z, warning, AK_BINDING_UNPROVEN$/m)
  assert.match(out, /^may enroll for +board-swap until 2026-01-02T03:04:05\.000Z$/m)
  assert.match(out, /^instance +vm-12, 8001 of presses, gce z-1$/m)
  assert.match(out, /^with endorsement key +6e6577$/m)
  assert.not(out.includes("\u001b"))
})

test("shows which attestation key a device may enroll with", async () => {
  const permit = create(pb.EnrollmentPermitSchema, {
    reason: pb.EnrollmentReason.AK_ROTATION,
    akName: utf8("new"),
    expireTime: AT,
  })
  const { run } = fakeServer({ getDevice: async (id) => ({ device: deviceOf(id, { permit }) }) })
  assert.equal(jsonOf(await run(["device", "show", "gate-7"]))["permit"], {
    reason: "ak-rotation",
    ekDigest: null,
    akName: "6e6577",
    expiresAt: INSTANT,
  })
  assert.match((await run(["device", "show", "gate-7"], TERMINAL)).out, /^with key +6e6577$/m)
})

const filters: [args: string[], filter: string][] = [
  [[], ""],
  [["--state", "active"], "state=active"],
  [
    ["--state", "active", "--freshness", "silent", "--group", "edge", "--policy", "fleet"],
    'state=active AND freshness=silent AND group="edge" AND policy="fleet"',
  ],
  [["--label", 'site=the "north" \\ 4'], 'labels.site="the \\"north\\" \\\\ 4"'],
  [["--id", "gate-"], 'id="gate-*"'],
  [["--id", "gate-*"], 'id="gate-*"'],
  [["--filter", "state=active AND id=g*"], "state=active AND id=g*"],
]
for (const [args, filter] of filters)
  test(`lists and exports by ${args.join(" ") || "nothing"}`, async () => {
    const { calls, run } = fakeServer()
    assert.is((await run(["device", "list", ...args])).status, 0)
    assert.is((await run(["device", "export", ...args])).status, 0)
    const page = { filter, orderBy: "id", pageSize: 1000, pageToken: "" }
    assert.equal(calls, [
      { method: "listDevices", request: page },
      { method: "exportDevices", request: filter },
    ])
  })

const wrong: [what: string, args: string[]][] = [
  ["a filter and an option that narrows", ["device", "list", "--filter", "state=active", "--group", "edge"]],
  ["a state that there is not", ["device", "list", "--state", "broken"]],
  ["a freshness that there is not", ["device", "list", "--freshness", "stale"]],
  ["an order that there is not", ["device", "list", "--order-by", "state"]],
  ["a limit of none", ["device", "list", "--limit", "0"]],
  ["a limit that is no number", ["device", "list", "--limit", "many"]],
  ["a label without a value", ["device", "list", "--label", "site"]],
  ["a label of path parts", ["device", "list", "--label", "../site=x"]],
  ["two labels to list by", ["device", "list", "--label", "a=1", "b=2"]],
  ["nothing to update", ["device", "update", "gate-7"]],
  ["a label twice", ["device", "update", "gate-7", "--label", "a=1", "a=2"]],
  ["a permit without a reason", ["device", "permit", "gate-7"]],
  ["a permit for another reason", ["device", "permit", "gate-7", "--reason", "theft"]],
  ["a permit for no time", ["device", "permit", "gate-7", "--reason", "re-enrollment", "--for", "0s"]],
  [
    "a permit for a time without a unit",
    ["device", "permit", "gate-7", "--reason", "re-enrollment", "--for", "5"],
  ],
  ["a Name that is none", ["device", "permit", "gate-7", "--reason", "ak-rotation", "--ak-name", "000b5"]],
  [
    "a Name that is longer than any",
    ["device", "permit", "gate-7", "--reason", "ak-rotation", "--ak-name", "00".repeat(67)],
  ],
  ["a digest that is none", ["device", "permit", "gate-7", "--reason", "board-swap", "--ek-digest", "xyz"]],
  ["no device", ["device", "revoke"]],
  ["a token for no device", ["enrollment-token", "create", "--uses", "0"]],
  ["a token for too many devices", ["enrollment-token", "create", "--uses", "1000001"]],
  ["a token for an odd time", ["enrollment-token", "create", "--for", "1 day"]],
]
for (const [what, args] of wrong)
  test(`ends with 2, and asks nobody, for ${what}`, async () => {
    const { calls, run } = fakeServer()
    assert.is((await run(args)).status, 2)
    assert.equal(calls, [])
  })

test("lists page by page to the limit, and says if there are more", async () => {
  const { calls, run } = fakeServer({}, 2500)
  const all = jsonOf<{ devices: { id: string }[]; more: boolean }>(
    await run(["device", "list", "--limit", "9999"]),
  )
  assert.equal([all.devices.length, all.devices.at(-1)?.id, all.more], [2500, "gate-2499", false])
  assert.is(calls.length, 3)
  const some = await run(["device", "list", "--limit", "1200"], TERMINAL)
  assert.match(some.out, /^ID +STATE +FRESHNESS/)
  assert.match(some.out, /There are more/)
  assert.match(some.out, /^gate-1199 +active +due +edge +fleet +2026/m)
  assert.match((await fakeServer({}, 0).run(["device", "list"], TERMINAL)).out, /no such device/)
})

test("lists past pages with nothing on them", async () => {
  const pages = [[], ["gate-1"], []]
  const { run } = fakeServer({
    listDevices: async ({ pageToken }) => {
      const page = Number(pageToken || 0)
      return create(pb.ListDevicesResponseSchema, {
        devices: (pages[page] ?? []).map((id) => deviceOf(id)),
        nextPageToken: page < 2 ? String(page + 1) : "",
      })
    },
  })
  assert.is(jsonOf<{ devices: unknown[] }>(await run(["device", "list"])).devices.length, 1)
})

const verbs: [verb: string, method: string][] = [
  ["approve", "approveDevice"],
  ["suspend", "suspendDevice"],
  ["resume", "resumeDevice"],
  ["revoke", "revokeDevice"],
  ["retire", "retireDevice"],
  ["transfer", "transferDevice"],
  ["accept-firmware", "acceptFirmware"],
  ["delete", "deleteDevice"],
]
for (const [verb, method] of verbs)
  test(`tells the server to ${verb} a device, as it was looked at`, async () => {
    const { calls, run } = fakeServer()
    assert.is((await run(["device", verb, "gate-7", "--etag", "e3"])).status, 0)
    const ran = await run(["device", verb, "gate-7"], TERMINAL)
    assert.match(ran.out, /gate-7/)
    assert.equal(calls, [
      { method, request: { id: "gate-7", etag: "e3" } },
      { method, request: { id: "gate-7", etag: "" } },
    ])
    const stale = () => Promise.reject(new AssayError("ETAG", "changed"))
    const failing = fakeServer({ [method]: stale })
    assert.is((await failing.run(["device", verb, "gate-7"])).status, 1)
  })

const updates: [args: string[], expected: object][] = [
  [["--group", "edge"], { group: "edge", updateMask: { paths: ["group"] } }],
  [["--no-group"], { updateMask: { paths: ["group"] } }],
  [["--policy", "fleet"], { policy: "fleet", updateMask: { paths: ["policy"] } }],
  [["--no-policy"], { updateMask: { paths: ["policy"] } }],
  [
    ["--label", "site=north 4", "--label", "rack="],
    { labels: { site: "north 4", rack: "" }, updateMask: { paths: ["labels.site", "labels.rack"] } },
  ],
  [["--remove-label", "site", "rack"], { updateMask: { paths: ["labels.site", "labels.rack"] } }],
  [
    ["--group", "core", "--no-policy", "--label", "a=b=c", "--etag", "e3"],
    {
      etag: "e3",
      group: "core",
      labels: { a: "b=c" },
      updateMask: { paths: ["group", "policy", "labels.a"] },
    },
  ],
]
for (const [args, expected] of updates)
  test(`updates by ${args.join(" ")}`, async () => {
    const { calls, run } = fakeServer()
    assert.is((await run(["device", "update", "gate-7", ...args])).status, 0)
    const nothing = { id: "gate-7", etag: "", group: "", policy: "", labels: {} }
    assert.equal(calls, [{ method: "updateDevice", request: { ...nothing, ...expected } }])
  })

test("permits a device to enroll again", async () => {
  const { calls, run } = fakeServer()
  const digest = "ab".repeat(32)
  const permit = ["device", "permit", "gate-7", "--reason"]
  assert.is((await run([...permit, "re-enrollment"])).status, 0)
  assert.is(
    (await run([...permit, "board-swap", "--ek-digest", digest, "--for", "2d", "--etag", "e"])).status,
    0,
  )
  const name = `000b${"cd".repeat(32)}`
  assert.is((await run([...permit, "ak-rotation", "--ak-name", name])).status, 0)
  const { RE_ENROLLMENT, BOARD_SWAP, AK_ROTATION } = pb.EnrollmentReason
  const base = { id: "gate-7", etag: "", ekDigest: new Uint8Array(), akName: new Uint8Array() }
  const lifetime = (seconds: bigint) => ({ seconds, nanos: 0 })
  assert.equal(
    calls.map(({ request }) => request),
    [
      { ...base, reason: RE_ENROLLMENT, lifetime: lifetime(3600n) },
      {
        ...base,
        etag: "e",
        reason: BOARD_SWAP,
        ekDigest: new Uint8Array(32).fill(0xab),
        lifetime: lifetime(172_800n),
      },
      {
        ...base,
        reason: AK_ROTATION,
        akName: Uint8Array.of(0x00, 0x0b, ...new Uint8Array(32).fill(0xcd)),
        lifetime: lifetime(3600n),
      },
    ],
  )
})

test("exports JSON lines to a pipe or a file, and imports them again", () =>
  inFolder(async (folder) => {
    const { calls, run } = fakeServer({}, 3)
    const piped = await run(["device", "export"])
    assert.is(piped.out, ["gate-0", "gate-1", "gate-2"].map((id) => `${lineOf(id)}\n`).join(""))
    assert.is(piped.err, "3 devices exported\n")
    const file = join(folder, "devices.jsonl")
    assert.equal((await run(["device", "export", file])).out, "")
    assert.is(readFileSync(file, "utf8"), piped.out)
    assert.not(existsSync(`${file}.part`))
    const imported = await run(["device", "import", file])
    assert.equal(jsonOf(imported), { added: 3, unchanged: 1 })
    await run(["device", "import", "-"], { stdin: utf8(piped.out) })
    assert.equal(
      calls.filter(({ method }) => method === "importDevices").map(({ request }) => request),
      [
        ["gate-0", "gate-1", "gate-2"],
        ["gate-0", "gate-1", "gate-2"],
      ],
    )
  }))

const lineOf = (id: string): string => toJsonString(pb.DeviceExportSchema, exportOf(id))

test("leaves no half of an export under its name, and nothing in place of what is there", () =>
  inFolder(async (folder) => {
    const file = join(folder, "devices.jsonl")
    writeFileSync(file, "before\n")
    const { run } = fakeServer({
      exportDevices: async function* () {
        yield exportOf("gate-0")
        throw new AssayError("REGISTRY", "the line went dead")
      },
    })
    assert.is((await run(["device", "export", file])).status, 1)
    assert.is(readFileSync(file, "utf8"), "before\n")
    assert.not(existsSync(`${file}.part`))
    writeFileSync(`${file}.part`, "another export\n")
    assert.is((await run(["device", "export", file])).status, 2)
    assert.is(readFileSync(`${file}.part`, "utf8"), "another export\n")
  }))

const badLines: [what: string, text: string | Uint8Array, line: number][] = [
  ["a line that is no JSON", `${lineOf("a")}\n{\n`, 2],
  ["an empty line", `${lineOf("a")}\n\n${lineOf("b")}\n`, 2],
  ["a field that there is not", `{"id":"a","owner":"me"}\n`, 1],
  ["a field of another type", `{"id":7}\n`, 1],
  ["a list", "[]\n", 1],
  ["a state that there is not", `{"id":"a","state":"BROKEN"}\n`, 1],
  ["a last line cut off", `${lineOf("a")}\n${lineOf("b").slice(0, -4)}`, 2],
]
for (const [what, text, line] of badLines)
  test(`ends with 2 for an import with ${what}, and says in which line`, async () => {
    const { run } = fakeServer()
    const file = fileOf(text, "jsonl")
    const { status, err } = await run(["device", "import", file])
    assert.is(status, 2)
    assert.ok(err.includes(`line ${line}`), err)
  })

const unreadable: [what: string, content: Uint8Array | string, code: string][] = [
  ["a line without an end", "x".repeat(500_000), "LENGTH"],
  ["bytes that are no text", Uint8Array.of(0x7b, 0xff, 0xfe), "INPUT"],
]
for (const [what, content, code] of unreadable)
  test(`ends with 2 for an import of ${what}`, async () => {
    const ran = await fakeServer().run(["device", "import", fileOf(content)])
    assert.equal([ran.status, jsonOf<{ error: { code: string } }>(ran).error.code], [2, code])
  })

test("ends with 2 for an import of a file that is not there", async () => {
  assert.is((await fakeServer().run(["device", "import", "/nowhere/devices.jsonl"])).status, 2)
})

test("says in which line the server found fault", async () => {
  const importDevices = () =>
    Promise.reject(new AssayError("DEVICE_EXISTS", "taken", { location: "devices[41].ak_public" }))
  const file = fileOf(`${lineOf("a")}\n`)
  const { status, err } = await fakeServer({ importDevices }).run(["device", "import", file])
  assert.is(status, 1)
  assert.ok(err.includes(`${file}, line 42, ak_public`), err)
})

test("reads lines however they arrive", async () => {
  const { calls, run } = fakeServer()
  const text = `${lineOf("gate-0")}\r\n${lineOf("gate-1")}`
  const { status, err } = await run(["device", "import", "-"], { stdin: utf8(text) })
  assert.equal([status, calls[0]?.request], [0, ["gate-0", "gate-1"]], err)
})

test("makes a token, and shows its secret once", async () => {
  const { calls, run } = fakeServer()
  const made = jsonOf(await run(["enrollment-token", "create"]))
  assert.equal([made["secret"], made["id"], made["uses"], made["usesMax"]], ["aet_secret", "et-1", 2, 5])
  const create = ["enrollment-token", "create", "--uses", "500", "--for", "7d", "--group", "edge"]
  const { out } = await run([...create, "--label", "site=north"], TERMINAL)
  assert.match(out, /Its secret, shown this once:\naet_secret\n$/)
  assert.equal(
    calls.map(({ request }) => request),
    [
      { usesMax: 1, lifetime: { seconds: 86_400n, nanos: 0 }, group: "", labels: {} },
      { usesMax: 500, lifetime: { seconds: 604_800n, nanos: 0 }, group: "edge", labels: { site: "north" } },
    ],
  )
})

test("writes a token's secret for its owner alone, and never over another", () =>
  inFolder(async (folder) => {
    const { calls, run } = fakeServer()
    const file = join(folder, "token")
    const ran = await run(["enrollment-token", "create", "--out", file])
    assert.not(ran.out.includes("aet_secret"))
    assert.equal([readFileSync(file, "utf8"), statSync(file).mode & 0o777], ["aet_secret\n", 0o600])
    assert.is((await run(["enrollment-token", "create", "--out", file])).status, 2)
    assert.is((await run(["enrollment-token", "create", "--out", join(folder, "no", "token")])).status, 2)
    assert.is(calls.length, 1)
    const failing = fakeServer({
      createEnrollmentToken: () => Promise.reject(new AssayError("JOURNAL", "full")),
    })
    const other = join(folder, "other")
    assert.is((await failing.run(["enrollment-token", "create", "--out", other])).status, 1)
    assert.not(existsSync(other))
  }))

test("lists tokens by how they stand, and ends one", async () => {
  const { calls, run } = fakeServer()
  const { tokens } = jsonOf<{ tokens: { id: string }[] }>(await run(["enrollment-token", "list"]))
  assert.equal(
    tokens.map(({ id }) => id),
    ["et-1"],
  )
  const standing = async (changed: Partial<pb.EnrollmentToken>): Promise<string> => {
    const listEnrollmentTokens = async () =>
      create(pb.ListEnrollmentTokensResponseSchema, { tokens: [{ ...token, ...changed }] })
    const { out } = await fakeServer({ listEnrollmentTokens }).run(["enrollment-token", "list"], TERMINAL)
    return /^et-1 +\d+ of \d+ +(used up|[a-z]+) /m.exec(out)?.[1] ?? out
  }
  const future = { ...token.expireTime, seconds: 4_000_000_000n } as NonNullable<typeof token.expireTime>
  assert.is(await standing({}), "expired")
  assert.is(await standing({ expireTime: future }), "open")
  assert.is(await standing({ expireTime: future, uses: 5 }), "used up")
  assert.is(await standing({ expireTime: future, revoked: true }), "revoked")
  assert.equal(jsonOf(await run(["enrollment-token", "revoke", "et-1"])), { revoked: "et-1" })
  assert.equal(calls.at(-1), { method: "revokeEnrollmentToken", request: "et-1" })
})

test("reaches servers as its options say: in plaintext here alone, and with whose secret", async () => {
  const { reached, run } = fakeServer()
  const [ca, cert, key, secret] = ["ca", "cert", "key", " s3cret\n"].map((text) => fileOf(text))
  const show = ["device", "show", "x"]
  await run([...show, "--admin", "127.0.0.1:7400"])
  await run([...show, "--admin", "assay.example:7443"])
  await run([...show, "--admin", "localhost:7443", "--tls-ca", ca ?? ""])
  const tls = ["--tls-ca", ca, "--tls-cert", cert, "--tls-key", key].map(String)
  await run([...show, "--admin", "assay.example:7443", ...tls])
  const withSecret = ["--admin", "assay.example:7443", "--credential", secret ?? ""]
  await run([...show, ...withSecret, "--tls-ca", ca ?? ""])
  assert.is((await run([...show, ...withSecret, ...tls])).status, 2, "two who call")
  await run([...show, "--credential", fileOf({ secret: "aet_x", id: "et-1" })])
  assert.equal(
    reached.map(([, reach]) => reach),
    [
      {},
      { tls: {} },
      { tls: { ca: utf8("ca") } },
      { tls: { ca: utf8("ca"), certificate: utf8("cert"), key: utf8("key") } },
      { credential: "s3cret", tls: { ca: utf8("ca") } },
      { credential: "aet_x" },
    ],
  )
  for (const content of ["", "{", '{"id": "et-1"}', '{"secret": 7}'])
    assert.is((await run([...show, "--credential", fileOf(content)])).status, 2, content)
  assert.is((await run([...show, "--tls-ca", "/nowhere"])).status, 2)
  assert.is(reached.length, 6)
})

test.run()
