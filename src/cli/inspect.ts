import type { Command } from "commander"
import { fromBase64Url, toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { parseEventLog } from "../evidence/eventlog/eventlog.ts"
import { parseAttest, TPM_GENERATED_VALUE } from "../evidence/tpm/attest.ts"
import { parsePublic } from "../evidence/tpm/public.ts"
import { parseSignature } from "../evidence/tpm/signature.ts"
import type { CommandContext } from "./command.ts"
import { eventTypeName } from "./event-types.ts"
import { readInput, readText } from "./input.ts"
import { certificateReport, crlReport } from "./inspect-certificate.ts"
import { fieldLines, type Report, tableLines } from "./output.ts"
import { attestJson, publicJson, selectionText, signatureJson } from "./view.ts"

const EXAMPLES = `
Examples:
  assay inspect quote attest.bin
  assay inspect public ak.pub -o json
  assay inspect certificate ek.der
  assay inspect eventlog /sys/kernel/security/tpm0/binary_bios_measurements
  assay inspect token - < token.jwt`

/** `assay inspect …`: what is in a file. */
export const addInspect = (program: Command, { io, reporting }: CommandContext): void => {
  const inspect = program.command("inspect").description("Show what a file says. Nothing of it is verified.")
  inspect.addHelpText("after", EXAMPLES)
  const kind = (name: string, description: string, report: (file: string) => Promise<Report>): void =>
    void inspect.command(`${name} <FILE>`).description(description).action(reporting(report))

  kind("quote", "A TPMS_ATTEST or TPM2B_ATTEST.", async (file) => quoteReport(await readInput(file, io)))
  kind("signature", "A TPMT_SIGNATURE.", async (file) => signatureReport(await readInput(file, io)))
  kind("public", "A TPMT_PUBLIC or TPM2B_PUBLIC.", async (file) => publicReport(await readInput(file, io)))
  kind("certificate", "X.509 certificates, also as read from a TPM's NV index.", (file) =>
    certificateReport(file, io),
  )
  kind("crl", "X.509 certificate revocation lists.", (file) => crlReport(file, io))
  kind("eventlog", "A TCG event log.", async (file) => eventLogReport(await readInput(file, io)))
  kind("token", "A JSON Web Token.", async (file) => tokenReport(await readText(file, io)))
}

const quoteReport = (bytes: Uint8Array): Report => {
  const attest = parseAttest(withoutSize(bytes))
  const json = attestJson(attest)
  const { attested } = attest
  const select = attested.kind === "quote" ? { pcrSelect: selectionText(attested.pcrSelect) } : {}
  return { accepted: true, json, table: () => fieldLines(textFields({ ...json, ...select })) }
}

/** The TPMS_ATTEST of a TPM2B_ATTEST. The magic number tells the two apart. */
const withoutSize = (bytes: Uint8Array): Uint8Array => {
  const magic = TPM_GENERATED_VALUE.toString(16)
  const size = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)
  const isSized = size === bytes.length - 2 && toHex(bytes.subarray(2, 6)) === magic
  return isSized && toHex(bytes.subarray(0, 4)) !== magic ? bytes.subarray(2) : bytes
}

const signatureReport = (bytes: Uint8Array): Report => {
  const json = signatureJson(parseSignature(bytes))
  return { accepted: true, json, table: () => fieldLines(textFields(json)) }
}

const publicReport = (bytes: Uint8Array): Report => {
  const json = publicJson(parsePublic(bytes))
  const attributes = json.attributes.join(" ")
  return { accepted: true, json, table: () => fieldLines(textFields({ ...json, attributes })) }
}

const textFields = (json: object): (readonly [string, string])[] =>
  Object.entries(json).map(([name, value]) => [name, value === null ? "none" : String(value)] as const)

const eventLogReport = (bytes: Uint8Array): Report => {
  const { format, banks, events, paddingBytes } = parseEventLog(bytes)
  const listed = events.map(({ sequence, pcr, untrustedType, digests, untrustedData, offset }) => ({
    sequence,
    pcr,
    untrustedType: eventTypeName(untrustedType),
    digests: Object.fromEntries([...digests].map(([bank, digest]) => [bank, toHex(digest)])),
    untrustedDataBytes: untrustedData.length,
    offset,
  }))
  return {
    accepted: true,
    json: { format, banks, paddingBytes, events: listed },
    table: ({ faint }) => [
      ...fieldLines([
        ["format", format],
        ["banks", banks.join(" ")],
        ["padding", `${paddingBytes} bytes`],
      ]),
      "",
      ...tableLines(
        ["event", "pcr", "untrusted type", "data", "digests"],
        listed.map(({ sequence, pcr, untrustedType, untrustedDataBytes, digests }) => [
          sequence,
          pcr,
          untrustedType,
          untrustedDataBytes,
          Object.entries(digests)
            .map(([bank, digest]) => `${bank}:${digest}`)
            .join(" "),
        ]),
      ),
      faint("Types and data are only what somebody wrote beside the digests."),
    ],
  }
}

const tokenReport = (text: string): Report => {
  const parts = text.trim().split(".")
  const [header, claims] = parts.slice(0, 2).map((part, i) => tokenPart(part, i === 0 ? "header" : "claims"))
  if (parts.length !== 3 || header === undefined || claims === undefined)
    throw tokenError("token", "three parts with a dot between them", `${parts.length}`)
  return {
    accepted: true,
    json: { verified: false, header, claims },
    table: ({ warn }) => [
      warn("not verified"),
      ...fieldLines([...jsonFields("header", header), ...jsonFields("claims", claims)]),
    ],
  }
}

const jsonFields = (part: string, value: object): (readonly [string, string])[] =>
  Object.entries(value).map(
    ([name, member]) =>
      [`${part}.${name}`, typeof member === "string" ? member : JSON.stringify(member)] as const,
  )

const tokenPart = (part: string, location: string): object => {
  const bytes = fromBase64Url(part)
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
    if (typeof value === "object" && value !== null) return value
  } catch {
    // Not text, or not JSON.
  }
  throw tokenError(location, "JSON in base64url", "something else")
}

const tokenError = (location: string, expected: string, actual: string): AssayError =>
  new AssayError("INPUT", "this is no JSON Web Token", { location, expected, actual })
