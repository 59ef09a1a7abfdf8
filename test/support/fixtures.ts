import { readFileSync } from "node:fs"
import type { HashName } from "../../src/evidence/tpm/algorithm.ts"
import { type PcrValues, parsePcrFile } from "../../src/evidence/tpm/pcrs.ts"
import type { PcrSelection } from "../../src/evidence/tpm/selection.ts"

const FOLDER = new URL("../fixtures/quotes/", import.meta.url)

/** Quotes in test/fixtures/quotes; make.sh there says what each shows. */
export const QUOTE_FIXTURES = [
  "rsa2048-sha256",
  "p256-sha256",
  "p384-sha384",
  "p256-two-banks",
  "p256-24-pcrs",
  "p256-empty-nonce",
] as const

/** A quote of test/fixtures/quotes. */
export type QuoteFixtureName = (typeof QUOTE_FIXTURES)[number]

/** What tpm2-tools and openssl say is in a quote. Bytes are in hexadecimal. */
export interface ExpectedQuote {
  readonly scheme: "rsassa" | "ecdsa"
  readonly hash: HashName
  readonly attributes: string
  readonly name: string
  readonly qualifiedName: string
  readonly nonce: string
  readonly selection: readonly PcrSelection[]
  readonly pcrDigest: string
  readonly clockMs: number
  readonly resetCount: number
  readonly restartCount: number
  readonly safe: boolean
  readonly firmwareVersion: string
  /** By bank and index. */
  readonly pcrs: Readonly<Partial<Record<HashName, Readonly<Record<string, string>>>>>
}

/** A genuine quote of swtpm with everything that belongs to it. */
export interface QuoteFixture {
  /** TPM2B_PUBLIC. */
  readonly akPublic: Uint8Array
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array
  /** What `tpm2_quote -o` wrote. */
  readonly pcrFile: Uint8Array
  readonly pcrs: PcrValues
  /** extraData as it was asked for. */
  readonly nonce: Uint8Array
  readonly expected: ExpectedQuote
}

/** A quote of test/fixtures/quotes, read anew at each call, so that a test may change its bytes. */
export const quoteFixture = (name: QuoteFixtureName): QuoteFixture => {
  const pcrFile = bytesOf(`${name}/pcrs.bin`)
  const expected = jsonOf<ExpectedQuote>(`${name}/expected.json`)
  return {
    akPublic: bytesOf(`${name}/ak.pub`),
    attest: bytesOf(`${name}/attest.bin`),
    signature: bytesOf(`${name}/signature.bin`),
    pcrFile,
    pcrs: parsePcrFile(pcrFile),
    nonce: new Uint8Array(Buffer.from(expected.nonce, "hex")),
    expected,
  }
}

/** The values of a quote's banks as they travel: concatenated, in the order of the selection. */
export const concatenatedPcrs = (pcrs: PcrValues): { hash: HashName; values: Uint8Array }[] =>
  [...pcrs].map(([hash, values]) => ({ hash, values: new Uint8Array(Buffer.concat([...values.values()])) }))

/** Something else that the key of `p256-sha256` signed: genuine, and never a quote. */
export interface AttestationFixture {
  readonly attest: Uint8Array
  readonly signature: Uint8Array
  /** What tpm2-tools say is in it; each kind has some of these. */
  readonly expected: {
    readonly nonce: string
    readonly name?: string
    readonly qualifiedName?: string
    readonly creationHash?: string
    readonly clockMs?: number
    readonly resetCount?: number
  }
}

/** An attestation of test/fixtures/quotes that is no quote. */
export const attestationFixture = (name: "certify" | "creation" | "time"): AttestationFixture => ({
  attest: bytesOf(`${name}/attest.bin`),
  signature: bytesOf(`${name}/signature.bin`),
  expected: jsonOf(`${name}/expected.json`),
})

const bytesOf = (path: string): Uint8Array => new Uint8Array(readFileSync(new URL(path, FOLDER)))
const jsonOf = <T>(path: string): T => JSON.parse(readFileSync(new URL(path, FOLDER), "utf8")) as T
