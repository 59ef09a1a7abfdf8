/** The quotes of `vectors/quotes`, taken out of their publishers' wrappers, as files for `assay check quote`. */
import { createPublicKey } from "node:crypto"
import { toHex } from "../../src/bytes.ts"
import { hashName } from "../../src/evidence/tpm/algorithm.ts"
import { vector, vectorJson } from "../support/vectors.ts"
import type { QuoteFiles } from "./run.ts"

const base64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"))
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"))

interface Expected {
  readonly nonce?: string
  readonly extraData?: string
  readonly akPublicPem?: string
  readonly userData?: string
}

const expectedOf = (name: string): Expected =>
  vectorJson<Record<string, Expected>>("quotes/expected.json")[name] ?? {}

interface Guard {
  readonly quote_TPMS_ATTEST: string
  readonly signature_TPMT_SIGNATURE: string
  readonly pcrs: Readonly<Record<string, string>>
  readonly allpcrs: Readonly<Record<string, Readonly<Record<string, string>>>> | null
  readonly event_log: string | null
}

const hexValues = (values: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([pcr, value]) => [pcr, toHex(base64(value))]))

/** Without a published key, another one stands in: then only the signature cannot hold. */
export const guardQuote = (name: string, standIn: string): QuoteFiles => {
  const file = vectorJson<Guard>(`quotes/${name}`)
  const { extraData, akPublicPem } = expectedOf(name)
  const banks = file.allpcrs ?? { 11: file.pcrs }
  return {
    attest: base64(file.quote_TPMS_ATTEST),
    signature: base64(file.signature_TPMT_SIGNATURE),
    key: akPublicPem ?? standIn,
    nonce: extraData,
    pcrs: Object.fromEntries(
      Object.entries(banks).map(([id, values]) => [hashName(Number(id)) ?? id, hexValues(values)]),
    ),
    eventLog: file.event_log === null || file.event_log === "" ? undefined : base64(file.event_log),
  }
}

/** The key of guard-good-1, which stands in where none is published. */
export const guardKey = (): string => expectedOf("guard-good-1.json").akPublicPem ?? ""

interface Gce {
  readonly akPub_TPMT_PUBLIC: string
  readonly akCert_DER: string
  readonly eventLog: string
  readonly quotes: readonly {
    readonly bank: string
    readonly quote_TPMS_ATTEST: string
    readonly signature_TPMT_SIGNATURE: string
    readonly pcrs: Readonly<Record<string, string>>
  }[]
}

/** Three quotes, each over one bank, and the certificate of the key. */
export const gceQuotes = (): readonly (QuoteFiles & {
  readonly bank: string
  readonly certificate: Uint8Array
})[] => {
  const file = vectorJson<Gce>("quotes/gce-cos-85-nonce9009.json")
  return file.quotes.map((quote) => ({
    bank: quote.bank,
    certificate: base64(file.akCert_DER),
    attest: hex(quote.quote_TPMS_ATTEST),
    signature: hex(quote.signature_TPMT_SIGNATURE),
    key: hex(file.akPub_TPMT_PUBLIC),
    nonce: "9009",
    pcrs: { [quote.bank]: quote.pcrs },
    eventLog: base64(file.eventLog),
  }))
}

interface Windows {
  readonly AK: { readonly Public: string }
  readonly Quote: { readonly Quote: string; readonly Signature: string }
  readonly Log: {
    readonly PCRs: readonly { readonly Index: number; readonly Digest: string }[]
    readonly Raw: string
  }
}

/** SHA-1 everywhere, and no nonce. */
export const windowsQuote = (): QuoteFiles => {
  const { AK, Quote, Log } = vectorJson<Windows>("quotes/windows-gcp-shielded-vm.json")
  return {
    attest: base64(Quote.Quote),
    signature: base64(Quote.Signature),
    key: base64(AK.Public),
    pcrs: { sha1: Object.fromEntries(Log.PCRs.map(({ Index, Digest }) => [Index, toHex(base64(Digest))])) },
    eventLog: base64(Log.Raw),
  }
}

const indexed = (values: readonly string[]): Record<string, string> =>
  Object.fromEntries(values.map((value, pcr) => [pcr, value]))

interface TrusteeQuote {
  readonly message: string
  readonly signature: string
  readonly pcrs: readonly string[]
}

/** 64 bytes of nonce; the key is a SubjectPublicKeyInfo in DER. */
export const trusteeQuote = (): QuoteFiles => {
  const name = "trustee-swtpm-evidence.json"
  const file = vectorJson<{ ak_public: string; tpm_quote: TrusteeQuote }>(`quotes/${name}`)
  return {
    attest: base64(file.tpm_quote.message),
    signature: base64(file.tpm_quote.signature),
    key: base64(file.ak_public),
    nonce: expectedOf(name).nonce,
    pcrs: { sha256: indexed(file.tpm_quote.pcrs) },
  }
}

const bareRsa = ({ message, signature, pcrs }: TrusteeQuote, key: string, nonce: string): QuoteFiles => ({
  attest: hex(message),
  signature: hex(signature),
  signatureScheme: "rsassa:sha256",
  key,
  nonce,
  pcrs: { sha256: indexed(pcrs) },
})

/** A bare RSA signature. */
export const azureQuote = (): QuoteFiles => {
  const { nonce = "", akPublicPem = "" } = expectedOf("azure-snp-tpm-quote-v1.json")
  return bareRsa(vectorJson("quotes/azure-snp-tpm-quote-v1.json"), akPublicPem, nonce)
}

interface AzureEvidence {
  readonly tpm_quote: TrusteeQuote
  readonly hcl_report: string
}

/** The same within evidence that has the key in a report. The second version is over what its report calls user data. */
export const azureEvidence = (version: "v1" | "v2"): QuoteFiles => {
  const name = `azure-snp-evidence-${version}.json`
  const { tpm_quote, hcl_report } = vectorJson<AzureEvidence>(`quotes/${name}`)
  const { nonce, userData = "" } = expectedOf(name)
  return bareRsa(tpm_quote, reportedKey(hcl_report), nonce ?? userData)
}

/** The JSON of a report begins somewhere behind its binary part, and zeros follow it. */
const reportedKey = (report: string): string => {
  const text = Buffer.from(report, "base64").toString("latin1")
  const json = text.slice(text.indexOf('{"keys"')).replace(/\0+$/, "")
  const { keys } = JSON.parse(json) as { keys: { kid: string; kty: string; n: string; e: string }[] }
  const { kty = "", n = "", e = "" } = keys.find(({ kid }) => kid === "HCLAkPub") ?? {}
  return String(
    createPublicKey({ key: { kty, n, e }, format: "jwk" }).export({ type: "spki", format: "pem" }),
  )
}

/** A key in PEM and as TPM2B_PUBLIC, PCR values in the file of tpm2-tools. */
export const keylimeQuote = (): QuoteFiles => ({
  attest: vector("quotes/keylime-set/quote.out"),
  signature: vector("quotes/keylime-set/quotesig.out"),
  key: vector("quotes/keylime-set/ak.pub"),
  nonce: expectedOf("keylime-set/quote.out").nonce,
  pcrs: vector("quotes/keylime-set/quotepcr.out"),
})

const NODE_ID_BYTES = 16

/** A made-up quote with neither signer nor nonce, behind a node id and a size. */
export const enacttrustQuote = (): QuoteFiles => {
  const token = vector("quotes/enacttrust-basic.token")
  const size = ((token[NODE_ID_BYTES] ?? 0) << 8) | (token[NODE_ID_BYTES + 1] ?? 0)
  const start = NODE_ID_BYTES + 2
  return {
    attest: token.slice(start, start + size),
    signature: token.slice(start + size),
    key: vector("quotes/enacttrust-basic.pem.pub"),
  }
}
