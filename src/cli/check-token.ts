import type { Command } from "commander"
import { fromBase64Url, toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { Confirmation } from "../evidence/transcript.ts"
import type { CommandContext } from "./command.ts"
import { keySetOf, parseHex, parseInstant, readJson, readText } from "./input.ts"
import { errorJson, errorLine, fieldLines, type Report } from "./output.ts"
import type { CheckedSession, CliIo, CliParts } from "./parts.ts"

const EXAMPLES = `
Examples:
  curl -s http://127.0.0.1:7401/.well-known/jwks.json > jwks.json
  assay check token session.jwt --jwks jwks.json --audience orders --issuer http://127.0.0.1:7401
  assay check token session.jwt --jwks jwks.json --audience orders --confirmation jkt:$THUMBPRINT_HEX

A token that is bound to a key is refused unless --confirmation names that key: the SHA-256 of the TLS certificate or
of the key's thumbprint, which its presenter has proven to hold. "unchecked" leaves that to you. Without --issuer any
issuer is taken that signs with these keys. Whether the session was revoked is not known here.`

interface Options {
  readonly jwks: string
  readonly audience: string
  readonly issuer?: string
  readonly at?: string
  readonly confirmation?: string
}

/** `assay check token`. */
export const addCheckToken = (check: Command, { io, parts, reporting }: CommandContext): void => {
  check
    .command("token <FILE>")
    .description("Check a session token with Assay's published keys.")
    .requiredOption("--jwks <FILE>", "Assay's key set, as /.well-known/jwks.json has it")
    .requiredOption("--audience <NAME>", "the service that the token has to be for")
    .option("--issuer <URL>", "what iss has to be")
    .option("--at <TIME>", "the instant to check at, as 2026-03-01T12:00:00Z (default: now)")
    .option("--confirmation <KEY>", "x5t#S256:HEX, jkt:HEX or unchecked")
    .addHelpText("after", EXAMPLES)
    .action(reporting((file: string, options: Options) => checkToken(file, options, io, parts)))
}

const checkToken = async (file: string, options: Options, io: CliIo, parts: CliParts): Promise<Report> => {
  const at = parseInstant(options.at, io)
  const confirmation = parseConfirmation(options.confirmation)
  const keys = keySetOf(await readJson(options.jwks, io), "--jwks")
  const token = (await readText(file, io)).trim()
  const { audience, issuer = issuerOf(token) } = options
  const how = { issuer: options.issuer !== undefined, confirmation: confirmation !== "checked-elsewhere" }
  try {
    const session = parts.verifySessionToken(token, {
      keys,
      issuer,
      audience,
      at,
      ...(confirmation === undefined ? {} : { confirmation }),
    })
    return acceptedReport(session, how)
  } catch (error) {
    if (error instanceof AssayError && error.kind === "denied") return refusedReport(error, how)
    throw error
  }
}

/** What was looked at: a check that nobody asked for is not taken for one that held. */
interface Checked {
  readonly issuer: boolean
  readonly confirmation: boolean
}

const acceptedReport = (session: CheckedSession, checked: Checked): Report => {
  const { confirmation } = session
  const bound = confirmation && `${confirmation.method}:${toHex(confirmation.digest)}`
  return {
    accepted: true,
    json: { accepted: true, code: null, checked, session: { ...session, confirmation: bound ?? null } },
    table: ({ good, warn }) => [
      good("accepted"),
      ...(checked.issuer ? [] : [warn("the issuer was not checked (--issuer)")]),
      ...(checked.confirmation || bound === undefined
        ? []
        : [warn("the key that it is bound to was not checked")]),
      "",
      ...fieldLines([
        ["device", session.device],
        ["tier", session.tier],
        ["vector", JSON.stringify(session.vector)],
        ["policies", session.policies.join(" ")],
        ["issuer", session.issuer],
        ["audience", session.audience],
        ["tenant", session.tenant],
        ["id", session.id],
        ["issued", session.issuedAt.toISOString()],
        ["expires", session.expiresAt.toISOString()],
        ["bound to", bound ?? "no key"],
      ]),
    ],
  }
}

const refusedReport = (error: AssayError, checked: Checked): Report => ({
  accepted: false,
  json: { accepted: false, code: error.code, checked, finding: errorJson(error) },
  table: ({ bad }) => [bad(`refused: ${error.code}`), errorLine(error)],
})

const DIGEST_BYTES = 32

/** The key in an option: `x5t#S256:HEX`, `jkt:HEX`, or `unchecked`. @throws {AssayError} INPUT. */
export const parseConfirmation = (
  text: string | undefined,
): Confirmation | "checked-elsewhere" | undefined => {
  if (text === undefined) return undefined
  if (text === "unchecked") return "checked-elsewhere"
  const [method, hex = "", ...rest] = text.split(":")
  if ((method === "x5t#S256" || method === "jkt") && rest.length === 0) {
    const digest = parseHex(hex, "--confirmation", DIGEST_BYTES)
    if (digest.length === DIGEST_BYTES) return { method, digest }
  }
  throw new AssayError("INPUT", "--confirmation names no key", {
    location: "--confirmation",
    expected: "x5t#S256: or jkt: and 64 hexadecimal digits, or unchecked",
    actual: text,
  })
}

/** Stands where the token names no issuer; such a token is refused for that. */
const NO_ISSUER = "(none)"

/** The issuer that the token names: who is not asked for is whoever signs with these keys. */
const issuerOf = (token: string): string => {
  const payload = fromBase64Url(token.split(".")[1] ?? "")
  try {
    const claims: unknown = JSON.parse(new TextDecoder().decode(payload))
    const issuer: unknown =
      typeof claims === "object" && claims !== null ? Reflect.get(claims, "iss") : undefined
    return typeof issuer === "string" && issuer !== "" ? issuer : NO_ISSUER
  } catch {
    return NO_ISSUER
  }
}
