import { generateKeyPairSync, hash } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Option } from "commander"
import type { Logger } from "pino"
import { concat, toHex } from "../bytes.ts"
import { type Config, readConfig } from "../config.ts"
import { AssayError, type Code } from "../errors.ts"
import type { VerifyResponse } from "../gen/assay/v1/attestation_pb.ts"
import { Tier } from "../gen/assay/v1/result_pb.ts"
import type { AddCommand, CommandContext } from "./command.ts"
import { AUDIENCE, DEVICE, type DemoMachine, register, type Stage } from "./demo-stage.ts"
import { type EvidenceJson, evidenceJson } from "./evidence.ts"
import { challengeAndAnswer, claimsOf, type Gateway, type Own, verdictLines } from "./gateway.ts"
import { type Paint, painter, toJson } from "./output.ts"
import type { Running } from "./serve.ts"

/** What the demo is given by `main.ts`. */
export interface DemoParts {
  readonly start: (config: Config, log: Logger) => Promise<Running>
  readonly createLog: (level: Config["logLevel"]) => Logger
  /** The maker certifies the endorsement key of a software device; `folder` is the server's. */
  readonly machine: (kind: "software" | "swtpm", folder: string) => Promise<DemoMachine>
  /** A gateway's connection, with the local credential in a file. */
  readonly gateway: (address: string, credentialFile: string) => Gateway
  /** PCR values as tpm2-tools keep them in a file. */
  readonly pcrFile: Parameters<typeof evidenceJson>[2]
}

/** What one step showed, and whether it went as told. */
interface Step {
  readonly title: string
  readonly asTold: boolean
  readonly lines: readonly string[]
}

/** `assay demo`: the main job with a device, and what is refused. */
export const addDemo =
  (parts: DemoParts): AddCommand =>
  (program, context) => {
    program
      .command("demo")
      .description("Show the main job: register, challenge, quote, verdict, token; then what is refused.")
      .addOption(
        new Option("--tpm <kind>", "whose TPM quotes").choices(["software", "swtpm"]).default("software"),
      )
      .addHelpText("after", HELP)
      .action(async ({ tpm }: { tpm: "software" | "swtpm" }) => {
        context.exitWith((await demo(parts, tpm, context)) ? 0 : 1)
      })
  }

const HELP = `
Starts a server of its own, on free ports and in a temporary folder. With -o json it prints the evidence, the token
and the keys, so that other programs can check them again. Exit status 0 only if each step went as told.`

async function demo(parts: DemoParts, tpm: "software" | "swtpm", context: CommandContext): Promise<boolean> {
  const { io, output } = context
  const paint = painter(io.colors)
  const steps: Step[] = []
  const tell = (title: string, asTold: boolean, lines: readonly string[]): void => {
    steps.push({ title, asTold, lines })
    if (output() === "table") io.out(`${paragraph(steps.length, { title, asTold, lines }, paint)}\n\n`)
  }
  const folder = mkdtempSync(join(tmpdir(), "assay-demo-"))
  const cleanup: (() => void | Promise<void>)[] = [() => rmSync(folder, { recursive: true, force: true })]
  try {
    const config = configIn(folder)
    const running = await parts.start(config, parts.createLog("silent"))
    cleanup.push(() => running.stop())
    const machine = await parts.machine(tpm, config.data)
    cleanup.push(() => machine.stop())
    const gateway = parts.gateway(running.listen[0] ?? "", running.credentials["gateway"] ?? "")
    cleanup.push(() => gateway.close())
    const shown = await play({ running, machine, gateway, folder, context, tell, pcrFile: parts.pcrFile })
    const ok = steps.every(({ asTold }) => asTold)
    if (output() === "json") io.out(`${toJson({ ok, tpm: machine.tpm, steps, ...shown })}\n`)
    else
      io.out(
        ok ? `${paint.good("Every step went as told.")}\n` : `${paint.bad("Not every step went as told.")}\n`,
      )
    return ok
  } finally {
    for (const close of cleanup.reverse()) await close()
  }
}

const paragraph = (number: number, { title, asTold, lines }: Step, paint: Paint): string => {
  const mark = asTold ? paint.good("ok") : paint.bad("NOT AS TOLD")
  return [`${number}. ${title}  ${mark}`, ...lines.map((line) => `   ${line}`)].join("\n")
}

const configIn = (folder: string): Config =>
  readConfig(
    {
      development: true,
      data: join(folder, "data"),
      listen: ["127.0.0.1:0"],
      "web.public": "127.0.0.1:0",
      "web.private": "127.0.0.1:0",
    },
    {},
    undefined,
  )

/** Everything that other programs need to check again what the demo showed. */
interface Shown {
  readonly evidence: EvidenceJson
  /** What the evidence's nonce is the digest of; the random bytes in hexadecimal, the key as `jkt:HEX`. */
  readonly transcript: Readonly<
    Record<"random" | "tenant" | "device" | "audience" | "confirmation" | "policy", string>
  >
  readonly policy: string
  readonly token: string
  readonly claims: unknown
  readonly issuer: string
  readonly jwks: unknown
  readonly confirmation: string
  readonly refused: { readonly evidence: EvidenceJson; readonly resultToken: string }
}

async function play(stage: Stage): Promise<Shown> {
  const { running, machine, gateway, tell } = stage
  const policy = await register(stage)

  const key = sessionKey()
  const own: Own = { audience: AUDIENCE, confirmation: { method: "jkt", digest: key } }
  const first = await answer(stage, own)
  const json = evidenceJson(first.evidence, machine.attester.akPublic, stage.pcrFile)
  tell("Challenge and quote", true, [
    `The gateway got a challenge, sealed for ${DEVICE}, audience ${AUDIENCE} and the device's session key.`,
    "The device computed the transcript itself, with its own audience and its own key, and quoted its digest:",
    `extraData  ${json.nonce}`,
    `PCRs       ${json.pcrSelection}, and an event log of ${first.evidence.eventLog.length} bytes`,
  ])

  const verdict = await gateway.verify(first.request)
  const token = verdict.token.case === "sessionToken" ? verdict.token.value : ""
  const claims = claimsOf(token)
  const jwks: unknown = await (await fetch(`${running.publicUrl}/.well-known/jwks.json`)).json()
  const holds = await tokenHolds(stage, token, jwks, key)
  tell("Verdict and session token", verdict.result?.tier === Tier.WARNING && holds, [
    ...verdictLines(verdict),
    "A session token, decoded:",
    ...toJson(claims).split("\n"),
    holds ? "It holds against the published keys, for this audience and this key." : "It does not hold.",
  ])

  await machine.boot({ bootLoader: "boot loader 2.12, altered" })
  const changed = await answer(stage, own)
  const refusal = await gateway.verify(changed.request)
  const [worst] = refusal.result?.findings ?? []
  tell(
    "Refused: the same device with another boot loader, which changes PCR 4",
    isRefused(refusal, "REFERENCE_SET") && worst?.location.startsWith("sha256:4 ") === true,
    verdictLines(refusal),
  )

  const lie = await answer(stage, own)
  lie.evidence.pcrBanks = first.evidence.pcrBanks
  lie.evidence.eventLog = first.evidence.eventLog
  const caught = await gateway.verify(lie.request)
  tell(
    "Refused: the changed device shows the PCR values and the log of its good boot",
    isRefused(caught, "PCR_DIGEST"),
    [...verdictLines(caught)],
  )

  await machine.boot()
  const forged = await answer(stage, own)
  forged.evidence.attest = withLaterClock(forged.evidence.attest)
  const exposed = await gateway.verify(forged.request)
  tell(
    "Refused: a good quote whose clock somebody changed after it was signed",
    isRefused(exposed, "SIGNATURE"),
    [...verdictLines(exposed)],
  )

  const replay = await errorOf(() => gateway.verify(first.request))
  tell("Refused: the first evidence once more", replay?.code === "NONCE_SPENT", [
    replay === undefined ? "It was accepted." : `${replay.code}: ${replay.message}`,
  ])

  const refused = {
    evidence: evidenceJson(changed.evidence, machine.attester.akPublic, stage.pcrFile),
    resultToken: refusal.token.case === "resultToken" ? refusal.token.value : "",
  }
  const confirmation = `jkt:${Buffer.from(key).toString("hex")}`
  const transcript = { ...first.transcript, random: toHex(first.transcript.random), confirmation }
  const { issuer } = running
  return { evidence: json, transcript, policy, token, claims, issuer, jwks, confirmation, refused }
}

/** Thumbprint (RFC 7638) of a key that the device would use towards the service: what its session is bound to. */
const sessionKey = (): Uint8Array => {
  const { crv, kty, x, y } = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({
    format: "jwk",
  })
  return hash("sha256", JSON.stringify({ crv, kty, x, y }), "buffer")
}

const answer = ({ gateway, machine }: Stage, own: Own) =>
  challengeAndAnswer(gateway, machine.attester, own, { device: DEVICE, policy: "" })

/** The same structure some weeks later: clockInfo.clock stands behind magic, type and two sized fields. */
const withLaterClock = (attest: Uint8Array): Uint8Array => {
  const sizeAt = (offset: number): number => ((attest[offset] ?? 0) << 8) | (attest[offset + 1] ?? 0)
  const extraData = 6 + 2 + sizeAt(6)
  const clock = extraData + 2 + sizeAt(extraData)
  const later = concat(attest)
  later[clock + 3] = (later[clock + 3] ?? 0) + 1
  return later
}

const isRefused = ({ result, token }: VerifyResponse, code: Code): boolean =>
  result?.tier === Tier.CONTRAINDICATED && token.case === "resultToken" && result.findings[0]?.code === code

/** Whether the service that the token is for would take it. */
async function tokenHolds(
  { running, context }: Stage,
  token: string,
  jwks: unknown,
  key: Uint8Array,
): Promise<boolean> {
  const failure = await errorOf(async () =>
    context.parts.verifySessionToken(token, {
      keys: jwks as { readonly keys: readonly object[] },
      issuer: running.issuer,
      audience: AUDIENCE,
      at: context.io.now(),
      confirmation: { method: "jkt", digest: key },
    }),
  )
  return failure === undefined
}

const errorOf = async (act: () => Promise<unknown>): Promise<AssayError | undefined> => {
  try {
    await act()
    return undefined
  } catch (error) {
    if (error instanceof AssayError) return error
    throw error
  }
}
