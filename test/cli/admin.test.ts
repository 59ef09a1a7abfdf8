/** `assay device` and `assay policy`, against a server that only remembers what it was asked. */
import { create } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../src/bytes.ts"
import type { AdminCalls } from "../../src/cli/parts.ts"
import { AssayError } from "../../src/errors.ts"
import {
  AssignPolicyResponseSchema,
  GetPolicyResponseSchema,
  SetPolicyResponseSchema,
} from "../../src/gen/assay/v1/admin_pb.ts"
import { GetDeviceResponseSchema, RegisterDeviceResponseSchema } from "../../src/gen/assay/v1/device_pb.ts"
import { quoteFixture } from "../support/fixtures.ts"
import { assay, fileOf, jsonOf, noDevices, noJournal, noTrust, type RunOptions } from "./run.ts"

const test = suite("assay device and policy")

interface Call {
  readonly method: string
  readonly request: unknown
}

/** A server that knows the policy `fleet` and whatever device is asked for, and what it was asked. */
const fakeServer = () => {
  const calls: Call[] = []
  const addresses: string[] = []
  let open = 0
  const called = (method: string, request: unknown): void => void calls.push({ method, request })
  const knownPolicy = (name: string): void => {
    if (name !== "fleet")
      throw new AssayError("POLICY_NOT_FOUND", `there is no policy ${name}`, { location: name })
  }
  const device = (id: string, policy: string) => ({ id, akName: utf8("name"), revision: 1n, policy })
  const admin: AdminCalls = {
    ...noTrust,
    ...noDevices,
    ...noJournal,
    registerDevice: async (request) => {
      called("registerDevice", request)
      return create(RegisterDeviceResponseSchema, { device: device(request.id ?? "", "") })
    },
    getDevice: async (id) => {
      called("getDevice", id)
      if (id === "nobody") throw new AssayError("DEVICE_NOT_FOUND", "there is no device nobody")
      return create(GetDeviceResponseSchema, { device: device(id, "fleet") })
    },
    setPolicy: async (document) => {
      called("setPolicy", document)
      return create(SetPolicyResponseSchema, {
        policy: { name: "fleet", revision: 2n, document, digest: utf8("d") },
      })
    },
    assignPolicy: async (request) => {
      called("assignPolicy", request)
      knownPolicy(request.policy ?? "")
      return create(AssignPolicyResponseSchema, {
        policy: request.policy ?? "",
        device: request.device ?? "",
        group: request.group ?? "",
      })
    },
    getPolicy: async (name) => {
      called("getPolicy", name)
      knownPolicy(name)
      const document = "name: fleet\n# \u001b[2J\n"
      return create(GetPolicyResponseSchema, { policy: { name, revision: 2n, document, digest: utf8("d") } })
    },
    close: () => {
      open--
    },
  }
  const adminClient = (address: string): AdminCalls => {
    addresses.push(address)
    open++
    return admin
  }
  const run = async (argv: readonly string[], options: RunOptions = {}) => {
    const ran = await assay(argv, { ...options, parts: { adminClient } })
    assert.is(open, 0, "every connection is closed")
    return ran
  }
  return { calls, addresses, run }
}

/** The registration that was asked for first. */
const requestOf = ([call]: readonly Call[]) => {
  assert.is(call?.method, "registerDevice")
  return call?.request as { readonly qualifiedName: Uint8Array }
}

const { akPublic, expected } = quoteFixture("rsa2048-sha256")
const ak = fileOf(akPublic)
const area = akPublic.subarray(2)

test("registers a device by its key, with an id from its Name", async () => {
  const { calls, run } = fakeServer()
  const ran = await run(["device", "register", "--ak", ak])
  const id = expected.name.slice(4, 20)
  assert.equal([ran.status, jsonOf(ran)["id"]], [0, id])
  assert.equal(calls, [
    {
      method: "registerDevice",
      request: {
        id,
        akPublic: area,
        qualifiedName: new Uint8Array(),
        ekCertificateChain: [],
        akCertificateChain: [],
        ekPublic: new Uint8Array(),
      },
    },
  ])
})

test("registers the place of a primary key by its hierarchy", async () => {
  const primary = quoteFixture("p384-sha384")
  for (const [hierarchy, fits] of [
    ["endorsement", true],
    ["owner", false],
    ["platform", false],
  ] as const) {
    const { calls, run } = fakeServer()
    await run(["device", "register", "--ak", fileOf(primary.akPublic), "--id", "d", "--hierarchy", hierarchy])
    const { qualifiedName } = requestOf(calls)
    assert.is(toHex(qualifiedName) === primary.expected.qualifiedName, fits)
  }
})

test("registers the place of any key by its qualified name, and never an empty one", async () => {
  const { calls, run } = fakeServer()
  const name = new Uint8Array(Buffer.from(expected.qualifiedName, "hex"))
  assert.is((await run(["device", "register", "--ak", ak, "--qualified-name", fileOf(name)])).status, 0)
  assert.equal(requestOf(calls).qualifiedName, name)
  assert.is((await run(["device", "register", "--ak", ak, "--qualified-name", fileOf("")])).status, 2)
  assert.is(calls.length, 1)
})

test("registers and assigns at once, and nothing if there is no such policy", async () => {
  const { calls, run } = fakeServer()
  const ran = await run(["device", "register", "--ak", ak, "--id", "gate-7", "--policy", "fleet"])
  assert.equal([ran.status, jsonOf(ran)["policy"]], [0, "fleet"])
  assert.equal(
    calls.map(({ method }) => method),
    ["getPolicy", "registerDevice", "assignPolicy", "getDevice"],
  )
  const other = fakeServer()
  const failed = await other.run(["device", "register", "--ak", ak, "--policy", "none"])
  assert.equal(
    [failed.status, jsonOf<{ error: { code: string } }>(failed).error.code],
    [1, "POLICY_NOT_FOUND"],
  )
  assert.equal(
    other.calls.map(({ method }) => method),
    ["getPolicy"],
  )
})

test("does not call for a key that is none", async () => {
  const { calls, run } = fakeServer()
  assert.is((await run(["device", "register", "--ak", fileOf("key")])).status, 2)
  assert.equal(calls, [])
})

test("shows a device, and ends with 1 where there is none", async () => {
  const { run } = fakeServer()
  const ran = await run(["device", "show", "gate-7"])
  const { id, akName, revision, policy, createdAt } = jsonOf(ran)
  assert.equal(
    [ran.status, id, akName, revision, policy, createdAt],
    [0, "gate-7", toHex(utf8("name")), 1, "fleet", null],
  )
  const missing = await run(["device", "show", "nobody"])
  assert.equal([missing.status, missing.err], [1, "assay: DEVICE_NOT_FOUND: there is no device nobody\n"])
  assert.match((await run(["device", "show", "gate-7", "-o", "table"])).out, /^id +gate-7$/m)
})

test("sets a policy as it is", async () => {
  const { calls, run } = fakeServer()
  const document = "version: 1 # ü\n"
  const ran = await run(["policy", "set", fileOf(document)])
  assert.equal([ran.status, jsonOf(ran)], [0, { name: "fleet", revision: 2, digest: "64" }])
  assert.equal(calls, [{ method: "setPolicy", request: document }])
  assert.is((await run(["policy", "set", fileOf(Uint8Array.of(0xff))])).status, 2)
})

test("assigns a policy by name to a device, a group or all, and a file after setting it", async () => {
  const { calls, run } = fakeServer()
  assert.is((await run(["policy", "assign", "fleet", "--device", "gate-7"])).status, 0)
  const grouped = await run(["policy", "assign", "fleet", "--group", "edge"])
  assert.equal(jsonOf(grouped), { policy: "fleet", device: null, group: "edge" })
  assert.is((await run(["policy", "assign", "fleet"])).status, 0)
  assert.is((await run(["policy", "assign", fileOf("name: fleet", "yaml")])).status, 0)
  assert.is((await run(["policy", "assign", "-"], { stdin: utf8("name: fleet") })).status, 0)
  assert.equal(calls, [
    { method: "assignPolicy", request: { policy: "fleet", device: "gate-7", group: "" } },
    { method: "assignPolicy", request: { policy: "fleet", device: "", group: "edge" } },
    { method: "assignPolicy", request: { policy: "fleet", device: "", group: "" } },
    { method: "setPolicy", request: "name: fleet" },
    { method: "assignPolicy", request: { policy: "fleet", device: "", group: "" } },
    { method: "setPolicy", request: "name: fleet" },
    { method: "assignPolicy", request: { policy: "fleet", device: "", group: "" } },
  ])
  assert.is((await run(["policy", "assign", "none"])).status, 1)
  const both = await run(["policy", "assign", "fleet", "--group", "edge", "--device", "gate-7"])
  assert.is(both.status, 2)
})

test("shows a policy, on a terminal without what could steer it", async () => {
  const { run } = fakeServer()
  const { document } = jsonOf<{ document: string }>(await run(["policy", "show", "fleet"]))
  assert.is(document, "name: fleet\n# \u001b[2J\n")
  const { out } = await run(["policy", "show", "fleet"], { isTerminal: true })
  assert.match(out, /\nname: fleet\n# \\u\{1b\}\[2J\n$/)
})

test("finds the socket by option, environment or default, relative ones from here", async () => {
  const { addresses, run } = fakeServer()
  const show = ["device", "show", "x"]
  await run(show)
  await run(show, { env: { ASSAY_ADMIN: "unix:/run/assay/admin.sock" } })
  await run([...show, "--admin", "unix:other/admin.sock"], {
    env: { ASSAY_ADMIN: "unix:/run/assay/admin.sock" },
  })
  await run([...show, "--admin", "127.0.0.1:7400"])
  assert.equal(addresses, [
    `unix:${process.cwd()}/.assay/admin.sock`,
    "unix:/run/assay/admin.sock",
    `unix:${process.cwd()}/other/admin.sock`,
    "127.0.0.1:7400",
  ])
})

test("asks whether a server is there when none answers", async () => {
  const adminClient = (): AdminCalls => {
    const never = () => Promise.reject(new AssayError("NO_ANSWER", "UNAVAILABLE"))
    return {
      ...noTrust,
      ...noDevices,
      ...noJournal,
      registerDevice: never,
      getDevice: never,
      setPolicy: never,
      assignPolicy: never,
      getPolicy: never,
      close: () => {},
    }
  }
  const { status, err } = await assay(["device", "show", "x"], { parts: { adminClient } })
  assert.is(status, 1)
  assert.match(err, /^assay: NO_ANSWER: .*assay serve.* \(unix:\/.*\/\.assay\/admin\.sock\)\n$/)
})

test.run()
