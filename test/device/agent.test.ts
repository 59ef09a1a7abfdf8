import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex, utf8 } from "../../src/bytes.ts"
import { createAgent } from "../../src/device/agent.ts"
import { type Attester, type Own, tpmEvidence } from "../../src/device/attester.ts"
import { run } from "../../src/device/programs.ts"
import { createSoftwareDevice } from "../../src/device/software.ts"
import { type Swtpm, startSwtpm } from "../../src/device/swtpm.ts"
import { parseAttest } from "../../src/evidence/tpm/attest.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import type { PcrSelection } from "../../src/evidence/tpm/selection.ts"
import { challengeExtraData } from "../../src/evidence/transcript.ts"
import { HashAlgorithm } from "../../src/gen/assay/v1/evidence_pb.ts"
import { createAttestationKey } from "../../src/verification/key.ts"
import { rejectsCode } from "../support/assert.ts"
import { needs } from "../support/vectors.ts"
import { checkquote, type Shown } from "./judges.ts"

const parts = {
  challenge: Uint8Array.of(9),
  random: new Uint8Array(32).fill(3),
  tenant: "default",
  device: "",
  policy: "",
}
const own: Own = {
  audience: "https://api.example",
  confirmation: { method: "jkt", digest: new Uint8Array(32).fill(4) },
}
const selection: readonly PcrSelection[] = [
  { hash: "sha384", pcrs: [7, 16] },
  { hash: "sha256", pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 17] },
]

const answered = async (agent: Attester, mine: Own = own) => {
  const { attest, signature, pcrBanks, eventLog } = tpmEvidence(await agent.answer(parts, mine))
  const values = concat(...pcrBanks.map((bank) => bank.values))
  const shown: Shown = { akPublic: agent.akPublic, attest, signature, values }
  return { shown, pcrBanks, eventLog, quote: parseAttest(attest) }
}

const leftovers = (): readonly string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith("assay-agent-"))

const test = suite("agent")
let swtpm: Swtpm | undefined
const tpm = async (): Promise<Swtpm> => {
  swtpm ??= await startSwtpm()
  return swtpm
}

// A folder of its own, for other tests use agents at the same time.
const { TMPDIR: before } = process.env
test.before(() => {
  process.env["TMPDIR"] = mkdtempSync(join(tmpdir(), "agents-"))
})
test.after(async () => {
  await swtpm?.stop()
  rmSync(tmpdir(), { recursive: true })
  if (before === undefined) delete process.env["TMPDIR"]
  else process.env["TMPDIR"] = before
})

const kinds = [
  { algorithm: "rsa-2048", handle: 0x81010201, hash: "sha256" },
  { algorithm: "p256", handle: 0x81010202, hash: "sha256" },
  { algorithm: "p384", handle: 0x81010203, hash: "sha384" },
] as const
for (const { algorithm, handle, hash } of kinds)
  needs("swtpm", test)(`quotes with a key of ${algorithm} what tpm2_checkquote accepts`, async () => {
    const { tcti } = await tpm()
    const agent = await createAgent({ tcti, algorithm, handle, selection })
    const area = parsePublic(agent.akPublic)
    assert.equal(area.name, agent.akName)
    assert.equal(createAttestationKey(area).scheme.hash, hash)

    const { shown, quote, pcrBanks } = await answered(agent)
    const expected = challengeExtraData({ ...parts, ...own })
    assert.ok(checkquote(shown, expected, hash))
    assert.not.ok(checkquote(shown, new Uint8Array(32), hash))
    assert.is(toHex(quote.extraData), toHex(expected))
    assert.equal(quote.qualifiedSigner, agent.qualifiedName)
    assert.equal(quote.attested.kind === "quote" && quote.attested.pcrSelect, selection)
    assert.equal(
      pcrBanks.map((bank) => [bank.hash, bank.values.length]),
      [
        [HashAlgorithm.SHA384, 2 * 48],
        [HashAlgorithm.SHA256, 11 * 32],
      ],
    )
  })

needs("swtpm", test)("uses the key that is there, and leaves no transient object and no file", async () => {
  const { tcti } = await tpm()
  const options = { tcti, handle: 0x81010202 } as const
  const first = await createAgent({ ...options, algorithm: "p256" })
  for (let i = 0; i < 4; i++) await answered(await createAgent({ ...options, algorithm: "rsa-2048" }))
  const again = await createAgent(options)
  assert.is(toHex(again.akName), toHex(first.akName))
  const handles = await run("tpm2_getcap", ["handles-transient"], { folder: tmpdir(), timeoutMs: 5000, tcti })
  assert.is(handles.trim(), "")
  assert.equal(leftovers(), [])
})

const attackers: [name: string, wanted: Partial<Own>][] = [
  ["audience", { audience: "https://attacker.example" }],
  ["key", { confirmation: { method: "jkt", digest: new Uint8Array(32) } }],
  ["kind of key", { confirmation: { method: "x5t#S256", digest: new Uint8Array(32).fill(4) } }],
  ["lack of a key", { confirmation: undefined }],
]
for (const [name, wanted] of attackers)
  needs("swtpm", test)(`N-06 N-03 answers a relayed challenge with its own ${name}`, async () => {
    const { tcti } = await tpm()
    const { shown } = await answered(await createAgent({ tcti, handle: 0x81010202, selection }))
    const needed = challengeExtraData({ ...parts, ...own, ...wanted })
    assert.not.ok(checkquote(shown, needed, "sha256"))
  })

needs("swtpm", test)("N-06 quotes no digest that is handed to it as a nonce", async () => {
  const { tcti } = await tpm()
  const agent = await createAgent({ tcti, handle: 0x81010202 })
  const needed = challengeExtraData({ ...parts, ...own })
  const { attest } = tpmEvidence(await agent.answerNonce("default", needed))
  assert.is.not(toHex(parseAttest(attest).extraData), toHex(needed))
})

needs("swtpm", test)("shows the PCRs and the log of what was measured, also after a reboot", async () => {
  const swtpm = await tpm()
  const device = createSoftwareDevice({ algorithm: "p256", banks: ["sha1", "sha256", "sha384"] })
  const eventLogPath = join(swtpm.folder, "log")
  writeFileSync(eventLogPath, device.eventLog)
  const agent = await createAgent({ tcti: swtpm.tcti, handle: 0x81010202, eventLogPath })
  await swtpm.measure(device.eventLog)
  const before = await answered(agent)
  assert.equal(before.shown.values, device.pcrValues())
  assert.equal(before.eventLog, device.eventLog)

  await swtpm.extendPcr(4, new Map([["sha256", new Uint8Array(32).fill(1)]]))
  device.extend(4, new Map([["sha256", new Uint8Array(32).fill(1)]]))
  assert.equal((await answered(agent)).shown.values, device.pcrValues())

  await swtpm.reboot()
  device.boot([])
  const after = await answered(agent)
  assert.equal(after.shown.values, device.pcrValues())
  assert.is(after.quote.clockInfo.resetCount, before.quote.clockInfo.resetCount + 1)
})

needs("swtpm", test)("shows no log where there is none, and refuses one that it cannot read", async () => {
  const { tcti, folder } = await tpm()
  const options = { tcti, handle: 0x81010202 }
  const without = await createAgent({ ...options, eventLogPath: join(folder, "nowhere") })
  assert.is((await answered(without)).eventLog.length, 0)
  const unreadable = await createAgent({ ...options, eventLogPath: folder })
  await rejectsCode(() => answered(unreadable), "TPM")
  writeFileSync(join(folder, "huge"), new Uint8Array((1 << 20) + 1))
  const huge = await createAgent({ ...options, eventLogPath: join(folder, "huge") })
  await rejectsCode(() => answered(huge), "TPM")
})

needs("swtpm", test)("refuses a handle that holds another kind of key", async () => {
  const { tcti, folder } = await tpm()
  const at = { folder, timeoutMs: 10_000, tcti }
  await run("tpm2_createprimary", ["-Q", "-C", "o", "-G", "ecc", "-c", "storage.ctx"], at)
  await run("tpm2_evictcontrol", ["-Q", "-C", "o", "-c", "storage.ctx", "0x81010209"], at)
  await run("tpm2_flushcontext", ["-Q", "-t"], at)
  await rejectsCode(() => createAgent({ tcti, handle: 0x81010209 }), "TPM")
})

needs("swtpm", test)("says that there is no TPM behind a TCTI, and removes its files", async () => {
  await rejectsCode(() => createAgent({ tcti: "swtpm:path=/nowhere/tpm" }), "TPM")
  assert.equal(leftovers(), [])
})

test("refuses to begin where tpm2-tools are not installed", async () => {
  const path = process.env["PATH"]
  process.env["PATH"] = "/nowhere"
  try {
    await rejectsCode(() => createAgent(), "TPM")
    await rejectsCode(() => startSwtpm(), "TPM")
  } finally {
    process.env["PATH"] = path
  }
})

needs("swtpm", test)("finds nothing left of a TPM that was stopped", async () => {
  const other = await startSwtpm(["sha256"])
  await other.stop()
  assert.not.ok(existsSync(other.folder))
  await rejectsCode(() => other.extendPcr(16, new Map([["sha256", utf8("x".repeat(32))]])), "TPM")
})
test.run()
