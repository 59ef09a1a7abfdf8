/** `assay agent enroll` and `attest`, with a device whose answers nobody looks into. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { create } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../src/bytes.ts"
import { addAgent } from "../../src/cli/agent.ts"
import type { AgentParts, AgentSettings } from "../../src/cli/agent-tpm.ts"
import type { Reach } from "../../src/cli/parts.ts"
import { enrollmentParts } from "../../src/device/enrollment.ts"
import { verifyNamingLog } from "../../src/device/named-log.ts"
import { AssayError } from "../../src/errors.ts"
import {
  CreateChallengeResponseSchema,
  VerifyRequestSchema,
  VerifyResponseSchema,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import {
  BeginEnrollmentResponseSchema,
  CompleteEnrollmentRequestSchema,
  CompleteEnrollmentResponseSchema,
  DeviceState,
} from "../../src/gen/assay/v1/enrollment_pb.ts"
import { quoteFixture } from "../support/fixtures.ts"
import { makeChain } from "../support/x509.ts"
import { assay, fileOf, jsonOf } from "./run.ts"

const test = suite("assay agent")

const bytes = (text: string): Uint8Array => utf8(text)

/** An agent and a server that say what they were asked. */
const fakeWorld = (
  changed: (base: AgentParts) => Partial<AgentParts> = () => ({}),
  state: DeviceState = DeviceState.ACTIVE,
) => {
  const asked: [what: string, ...details: unknown[]][] = []
  let open = 0
  const note = (what: string, ...details: unknown[]): void => void asked.push([what, ...details])
  const opened = (what: string, address: string, reach: Reach): void => {
    open++
    note(what, address, reach)
  }
  const close = (): void => void open--
  const base: AgentParts = {
    agent: async (settings: AgentSettings) => {
      open++
      note("agent", settings)
      return {
        akPublic: quoteFixture("p256-sha256").akPublic,
        qualifiedName: bytes("qualified"),
        ekPublic: async () => bytes("ek"),
        ekCertificateChain: async () => [bytes("certificate")],
        answer: async (parts) => {
          note("answer", parts.device)
          return create(VerifyRequestSchema, { evidence: { kind: { case: "tpm", value: {} } } })
        },
        answerNonce: () => Promise.reject(new TypeError("no nonce in this test")),
        certifyKey: () => Promise.reject(new TypeError("no certificate in this test")),
        answerEnrollment: async ({ enrollment, credential }) => {
          note("answerEnrollment", credential !== undefined)
          return create(CompleteEnrollmentRequestSchema, { enrollment })
        },
        stop: async () => close(),
      }
    },
    enrollment: (address, reach) => {
      opened("enrollment", address, reach)
      return {
        beginEnrollment: async (request) => {
          note("begin", request.claimedName, request.ekPublic?.length, request.ekCertificateChain?.length)
          note("shown", request.akCertificateChain?.length)
          const credential = { credentialBlob: bytes("blob"), encryptedSecret: bytes("secret") }
          const withEk = request.ekPublic === undefined ? {} : credential
          return create(BeginEnrollmentResponseSchema, {
            enrollment: bytes("sealed"),
            tenant: "acme",
            ...withEk,
          })
        },
        completeEnrollment: async () =>
          create(CompleteEnrollmentResponseSchema, { device: "d-1", state, revision: 1n }),
        close,
      }
    },
    enrollmentParts,
    verifyNamingLog,
    gateway: (address, reach) => {
      opened("gateway", address, reach)
      return {
        createChallenge: async ({ device }) => {
          note("challenge", device)
          return create(CreateChallengeResponseSchema, { transcript: { device: device ?? "" } })
        },
        verify: async () => create(VerifyResponseSchema, { token: { case: "resultToken", value: "" } }),
        close,
      }
    },
    eventLogPath: "/sys/log",
  }
  const parts = { ...base, ...changed(base) }
  const run = async (argv: readonly string[], isTerminal = false) => {
    const ran = await assay(["agent", ...argv], {
      parts: { commands: [{ name: "agent", load: () => addAgent(parts) }] },
      isTerminal,
    })
    assert.is(open, 0, "everything is closed")
    return ran
  }
  return { asked, run }
}

const inFolder = async (act: (folder: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "assay-cli-agent-"))
  try {
    await act(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test("enrolls by its endorsement key, and keeps its id for itself", () =>
  inFolder(async (folder) => {
    const { asked, run } = fakeWorld()
    const state = join(folder, "state.json")
    const token = fileOf("aet_secret\n")
    const ran = await run(["enroll", "--enrollment-token", token, "--name", "press 3", "--state", state])
    assert.equal(
      [ran.status, jsonOf(ran)],
      [0, { device: "d-1", state: "active", tenant: "acme", file: state }],
      ran.err,
    )
    assert.is(statSync(state).mode & 0o777, 0o600)
    assert.not(existsSync(`${state}.part`))
    assert.equal(JSON.parse(readFileSync(state, "utf8")), {
      version: 1,
      device: "d-1",
      tenant: "acme",
      address: "127.0.0.1:7400",
    })
    assert.equal(asked.slice(1), [
      ["enrollment", "127.0.0.1:7400", { credential: "aet_secret" }],
      ["begin", "press 3", 2, 1],
      ["shown", undefined],
      ["answerEnrollment", true],
    ])
  }))

test("enrolls by a certificate of its attestation key", () =>
  inFolder(async (folder) => {
    const { asked, run } = fakeWorld()
    const chain = fileOf(makeChain("ak").leaf)
    const ran = await run(["enroll", "--ak-chain", chain, "--state", join(folder, "s")])
    assert.is(ran.status, 0, ran.err)
    assert.equal(asked.slice(2), [
      ["begin", "", undefined, undefined],
      ["shown", 1],
      ["answerEnrollment", false],
    ])
  }))

test("says so if the device waits for its operator", () =>
  inFolder(async (folder) => {
    const { run } = fakeWorld(undefined, DeviceState.PENDING)
    const { out } = await run(["enroll", "--state", join(folder, "s")], true)
    assert.match(out, /^state +pending$/m)
    assert.match(out, /waits for its operator/)
  }))

test("keeps what it knew when an enrollment fails", () =>
  inFolder(async (folder) => {
    const state = join(folder, "state.json")
    writeFileSync(state, "before")
    const refusing: AgentParts["enrollment"] = () => ({
      beginEnrollment: () => Promise.reject(new AssayError("ENROLLMENT_TOKEN", "used up")),
      completeEnrollment: () => Promise.reject(new TypeError("never asked")),
      close: () => {},
    })
    const { run } = fakeWorld(() => ({ enrollment: refusing }))
    assert.is((await run(["enroll", "--state", state])).status, 1)
    assert.is(readFileSync(state, "utf8"), "before")
    assert.not(existsSync(`${state}.part`))
  }))

test("asks nobody if it could not keep its id", () =>
  inFolder(async (folder) => {
    const { asked, run } = fakeWorld()
    const ran = await run(["enroll", "--state", join(folder, "no", "state.json")])
    assert.is(ran.status, 2)
    assert.not(asked.some(([what]) => what === "begin"))
  }))

test("takes a TPM in software, and its state with it", () =>
  inFolder(async (folder) => {
    const { asked, run } = fakeWorld()
    assert.is((await run(["enroll", "--swtpm", folder])).status, 0)
    assert.equal(asked[0], [
      "agent",
      {
        algorithm: "p256",
        swtpm: { folder, maker: ".assay/software-tpm-maker.pem" },
        eventLogPath: "/sys/log",
      },
    ])
    assert.ok(existsSync(join(folder, "agent.json")))
    await run(["attest", "--audience", "orders", "--swtpm", folder])
    assert.equal(asked.at(-1), ["answer", "d-1"])
    assert.is((await run(["enroll", "--swtpm", folder, "--tcti", "swtpm:"])).status, 2)
  }))

test("attests as the device that it enrolled as, or as it is told", () =>
  inFolder(async (folder) => {
    const { asked, run } = fakeWorld()
    const state = join(folder, "state.json")
    await run(["enroll", "--state", state])
    const attest = ["attest", "--audience", "orders", "--state", state]
    assert.is((await run(attest)).status, 1)
    assert.is((await run([...attest, "--device", "gate-7"])).status, 1)
    assert.equal(
      asked.filter(([what]) => what === "challenge"),
      [
        ["challenge", "d-1"],
        ["challenge", "gate-7"],
      ],
    )
  }))

test("names the log that it has shown where it enrolled, and shows it if it is asked for it", () =>
  inFolder(async (folder) => {
    const eventLog = bytes("a log")
    const sent: [log: number, named: boolean][] = []
    let known = true
    const { run } = fakeWorld(({ agent, gateway }) => ({
      agent: async (settings) => ({
        ...(await agent(settings)),
        answer: async () =>
          create(VerifyRequestSchema, { evidence: { kind: { case: "tpm", value: { eventLog } } } }),
      }),
      gateway: (address, reach) => ({
        ...gateway(address, reach),
        verify: async (request) => {
          const { kind } = request.evidence ?? {}
          if (kind?.case !== "tpm") throw new TypeError("no evidence")
          const named = kind.value.eventLogDigest !== undefined
          sent.push([kind.value.eventLog.length, named])
          if (named && !known) throw new AssayError("EVENT_LOG_NEEDED", "again")
          return create(VerifyResponseSchema, { token: { case: "resultToken", value: "" } })
        },
      }),
    }))
    const state = join(folder, "state.json")
    await run(["enroll", "--state", state])
    const attest = ["attest", "--audience", "orders", "--state", state]
    for (const isKnown of [true, true, false]) {
      known = isKnown
      await run(attest)
    }
    await run([...attest, "--address", "127.0.0.1:7999"])
    assert.equal(sent, [
      [5, false],
      [0, true],
      [0, true],
      [5, false],
      [5, false],
    ])
    assert.match(readFileSync(state, "utf8"), /"shownLog": "[0-9a-f]{64}"/)
    assert.is(statSync(state).mode & 0o777, 0o600)
  }))

const states: [what: string, content: string][] = [
  ["no JSON", "{"],
  ["another version", '{"version":2,"device":"d-1","tenant":"t","address":"a"}'],
  ["no device", '{"version":1,"tenant":"t","address":"a"}'],
  ["no object", "null"],
  ["G-12 an id with a newline", '{"version":1,"device":"d\\n1","tenant":"t","address":"a"}'],
  ["G-12 an id of path parts", '{"version":1,"device":"../d","tenant":"t","address":"a"}'],
  ["G-12 an id with an escape sequence", '{"version":1,"device":"\\u001b[2J","tenant":"t","address":"a"}'],
]
for (const [what, content] of states)
  test(`refuses a state with ${what}`, async () => {
    const { asked, run } = fakeWorld()
    assert.is((await run(["attest", "--audience", "orders", "--state", fileOf(content)])).status, 2)
    assert.not(asked.some(([kind]) => kind === "challenge"))
  })

test("attests where it enrolled, unless it is told where", () =>
  inFolder(async (folder) => {
    const { asked, run } = fakeWorld()
    const state = join(folder, "state.json")
    const attest = ["attest", "--audience", "orders", "--state", state]
    await run(["enroll", "--address", "assay.example:7443", "--state", state])
    await run(attest)
    await run([...attest, "--address", "127.0.0.1:7401"])
    await run(["enroll", "--state", join(folder, "other.json")])
    assert.equal(
      asked.filter(([what]) => what === "gateway" || what === "enrollment").map(([, address]) => address),
      ["assay.example:7443", "assay.example:7443", "127.0.0.1:7401", "127.0.0.1:7400"],
    )
  }))

test("refuses a state that was named and is not there", async () => {
  const { run } = fakeWorld()
  assert.is((await run(["attest", "--audience", "orders", "--state", "/nowhere/state.json"])).status, 2)
})

test("reaches a server elsewhere by TLS", () =>
  inFolder(async (folder) => {
    const { asked, run } = fakeWorld()
    const address = "assay.example:7443"
    await run(["enroll", "--address", address, "--tls-ca", fileOf("ca"), "--state", join(folder, "s")])
    assert.equal(asked[1], ["enrollment", address, { tls: { ca: utf8("ca") } }])
    const two = ["--credential", fileOf("a"), "--enrollment-token", fileOf("b")]
    assert.is((await run(["enroll", ...two, "--state", join(folder, "s")])).status, 2)
    const certificate = ["--tls-cert", fileOf("a"), "--tls-key", fileOf("b")]
    for (const secret of ["--credential", "--enrollment-token"]) {
      const both = [secret, fileOf("c"), ...certificate, "--state", join(folder, "s")]
      assert.is((await run(["enroll", ...both])).status, 2)
    }
  }))

test("writes what registers it", () =>
  inFolder(async (folder) => {
    const { run } = fakeWorld()
    const { out } = await run(["key", "--out", folder], true)
    assert.match(out, /assay device register --ak /)
    assert.equal(readFileSync(join(folder, "ek.der"), "utf8"), "certificate")
  }))

test.run()
