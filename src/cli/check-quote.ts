import type { Command } from "commander"
import { toHex } from "../bytes.ts"
import { checkQuote, QUOTE_CHECKS, type QuoteCheck } from "../service/check-quote.ts"
import type { KeyFile } from "../service/key-file.ts"
import { parseSignatureScheme } from "../service/raw-signature.ts"
import type { CommandContext } from "./command.ts"
import { parseHex, readInput } from "./input.ts"
import { errorJson, fieldLines, type Paint, type Report } from "./output.ts"
import type { CliIo } from "./parts.ts"
import { areaSchemeText, attestJson, pcrsJson, publicJson, schemeText, selectionText } from "./view.ts"

/** TPM2B_DATA holds at most the largest digest and two bytes; a nonce over 64 bytes cannot have been quoted whole. */
const NONCE_BYTES_MAX = 64

const EXAMPLES = `
Example, with what tpm2_createak and tpm2_quote write:
  tpm2_quote -c ak.ctx -l sha256:0,1,2,3,4,5,6,7 -q "$NONCE" -m attest.bin -s signature.bin -o pcrs.bin
  assay check quote --attest attest.bin --signature signature.bin --key ak.pub --nonce "$NONCE" --pcrs pcrs.bin \\
    --eventlog /sys/kernel/security/tpm0/binary_bios_measurements

FILE of --key: TPMT_PUBLIC, TPM2B_PUBLIC, or a public key or certificate in PEM or DER. Only a public area says what
the key may sign; of a key alone that stays unchecked ("held": {"key": null}).
FILE of --pcrs: {"sha256":{"0":"<hex>"}}, or what tpm2_quote -o writes, with -F values too.
Without --nonce or --pcrs the quote is refused; what held all the same is told.`

interface Options {
  readonly attest: string
  readonly signature: string
  readonly signatureScheme?: string
  readonly key: string
  readonly nonce?: string
  readonly pcrs?: string
  readonly eventlog?: string
}

/** `assay check quote`. */
export const addCheckQuote = (check: Command, { io, reporting }: CommandContext): void => {
  check
    .command("quote")
    .description("Check a quote: key, scheme, signature, type, nonce, selection, digest, event log.")
    .requiredOption("--attest <FILE>", "TPMS_ATTEST, as the TPM signed it")
    .requiredOption("--signature <FILE>", "TPMT_SIGNATURE, or with --signature-scheme the bare value")
    .option("--signature-scheme <SCHEME>", "of a bare signature: rsassa:sha256, rsapss:…, ecdsa:…")
    .requiredOption("--key <FILE>", "the attestation key")
    .option("--nonce <HEX>", "what was asked: 1 to 64 bytes that extraData has to be")
    .option("--pcrs <FILE>", "the values of the quoted PCRs")
    .option("--eventlog <FILE>", "the TCG event log that should lead to them")
    .addHelpText("after", EXAMPLES)
    .action(reporting(async (options: Options) => quoteReport(checkQuote(await readAll(options, io)))))
}

const readAll = async (options: Options, io: CliIo) => {
  const optional = async (file: string | undefined): Promise<Uint8Array | undefined> =>
    file === undefined ? undefined : readInput(file, io)
  const { signatureScheme: scheme, nonce } = options
  return {
    signatureScheme: scheme === undefined ? undefined : parseSignatureScheme(scheme),
    nonce: nonce === undefined ? undefined : parseHex(nonce, "--nonce", NONCE_BYTES_MAX),
    attest: await readInput(options.attest, io),
    signature: await readInput(options.signature, io),
    key: await readInput(options.key, io),
    pcrs: await optional(options.pcrs),
    eventLog: await optional(options.eventlog),
  }
}

const quoteReport = (result: QuoteCheck): Report => ({
  accepted: result.accepted,
  malformed: result.held.structure === false,
  json: quoteJson(result),
  table: (paint) => quoteTable(result, paint),
})

const quoteJson = ({
  accepted,
  code,
  held,
  findings,
  attest,
  signature,
  key,
  pcrs,
  mismatches,
}: QuoteCheck) => ({
  accepted,
  code: code ?? null,
  held: Object.fromEntries(QUOTE_CHECKS.map((check) => [check, held[check] ?? null])),
  findings: findings.map(({ check, error }) => ({ check, ...errorJson(error) })),
  attest: attest === undefined ? null : attestJson(attest),
  signature: signature === undefined ? null : { scheme: schemeText(signature) },
  key: key === undefined ? null : keyJson(key),
  pcrs: pcrs === undefined ? null : pcrsJson(pcrs),
  replay: {
    mismatches: mismatches.map(({ bank, pcr, event, replayed, quoted }) => ({
      bank,
      pcr,
      event: event?.sequence ?? null,
      replayed: toHex(replayed),
      quoted: toHex(quoted),
    })),
  },
})

const keyJson = (file: KeyFile): object => {
  if (file.kind === "area") return publicJson(file.area)
  const { key } = file
  return key.kind === "rsa" ? { type: "rsa", bits: key.keyBits } : { type: "ecc", curve: key.curve }
}

const keyText = (file: KeyFile): string =>
  file.kind === "area"
    ? `${toHex(file.area.name)} ${areaSchemeText(file.area)}`
    : file.key.kind === "rsa"
      ? `RSA with ${file.key.keyBits} bits`
      : file.key.curve

const quoteTable = (result: QuoteCheck, paint: Paint): readonly string[] => {
  const { accepted, code, held, findings, attest, key } = result
  const quote = attest?.attested.kind === "quote" ? attest.attested : undefined
  const word = (value: boolean | undefined): string =>
    value === undefined ? paint.faint("not checked") : value ? paint.good("held") : paint.bad("failed")
  return [
    accepted ? paint.good("accepted") : paint.bad(`refused: ${code ?? "not everything was checked"}`),
    "",
    ...QUOTE_CHECKS.map((check) => `${check.padEnd(9)}  ${word(held[check])}`),
    "",
    ...fieldLines([
      ["key", key && keyText(key)],
      ["extraData", attest && toHex(attest.extraData)],
      ["selection", quote && selectionText(quote.pcrSelect)],
      ["digest", quote && toHex(quote.pcrDigest)],
    ]),
    ...findings.flatMap(({ check, error: { code, message, location, expected, actual } }) => [
      "",
      `${check}: ${code}: ${message}`,
      ...fieldLines([
        ["  where", location],
        ["  expected", expected],
        ["  found", actual],
      ]),
    ]),
  ]
}
