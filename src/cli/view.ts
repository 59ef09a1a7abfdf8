/** What was parsed, as JSON has it: bytes in lowercase hexadecimal, names for numbers where there are any. */
import type { Finding } from "../appraisal/finding.ts"
import { toHex } from "../bytes.ts"
import { algorithmId } from "../evidence/tpm/algorithm.ts"
import type { Attest, Attested } from "../evidence/tpm/attest.ts"
import type { PcrValues } from "../evidence/tpm/pcrs.ts"
import { ATTRIBUTES, type AttributeName, hasAttribute, type PublicArea } from "../evidence/tpm/public.ts"
import type { PcrSelection } from "../evidence/tpm/selection.ts"
import type { Signature } from "../evidence/tpm/signature.ts"

/** An attestation. `clock` in milliseconds; a number, or its digits in text where a JSON number would not be exact. */
export const attestJson = (attest: Attest) => ({
  type: typeName(attest.attested),
  qualifiedSigner: toHex(attest.qualifiedSigner),
  extraData: toHex(attest.extraData),
  clock: u64Json(attest.clockInfo.clockMs),
  resetCount: attest.clockInfo.resetCount,
  restartCount: attest.clockInfo.restartCount,
  safe: attest.clockInfo.safe,
  firmwareVersion: u64Hex(attest.firmwareVersion),
  ...attestedJson(attest.attested),
})

const typeName = (attested: Attested): string =>
  attested.kind === "other" ? algorithmId(attested.type) : attested.kind

const attestedJson = (attested: Attested) => {
  switch (attested.kind) {
    case "quote":
      return { pcrSelect: attested.pcrSelect, pcrDigest: toHex(attested.pcrDigest) }
    case "certify":
      return { objectName: toHex(attested.objectName), qualifiedName: toHex(attested.qualifiedName) }
    case "creation":
      return { objectName: toHex(attested.objectName), creationHash: toHex(attested.creationHash) }
    case "time":
      return { time: u64Json(attested.timeMs) }
    case "other":
      return {}
  }
}

const u64Json = (value: bigint): number | string =>
  value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value)

const u64Hex = (value: bigint): string => value.toString(16).padStart(16, "0")

/** A selection as tpm2-tools write it: `sha256:0,1,2+sha384:0`. */
export const selectionText = (selection: readonly PcrSelection[]): string =>
  selection.length === 0 ? "none" : selection.map(({ hash, pcrs }) => `${hash}:${pcrs.join(",")}`).join("+")

/** `{"sha256":{"0":"<hex>"}}`, the form that `--pcrs` takes. */
export const pcrsJson = (pcrs: PcrValues) =>
  Object.fromEntries(
    [...pcrs].map(([bank, values]) => [
      bank,
      Object.fromEntries([...values].map(([pcr, value]) => [pcr, toHex(value)])),
    ]),
  )

/** A signature. */
export const signatureJson = (signature: Signature) => {
  switch (signature.kind) {
    case "rsassa":
    case "rsapss":
      return { scheme: schemeText(signature), value: toHex(signature.value) }
    case "ecdsa":
      return { scheme: schemeText(signature), r: toHex(signature.r), s: toHex(signature.s) }
    case "unsupported":
      return { scheme: schemeText(signature), supported: false }
  }
}

/** `rsassa:sha256`, or the numbers of what Assay does not verify. */
export const schemeText = (signature: Signature): string =>
  signature.kind === "unsupported"
    ? [signature.sigAlg, signature.hashAlg]
        .flatMap((id) => (id === undefined ? [] : algorithmId(id)))
        .join(":")
    : `${signature.kind}:${signature.hash}`

/** A public area, with the Name that it gives the key. */
export const publicJson = (area: PublicArea) => ({
  name: toHex(area.name),
  type: area.key.kind,
  ...(area.key.kind === "rsa"
    ? { bits: area.key.keyBits, exponent: area.key.exponent, modulus: toHex(area.key.modulus) }
    : { curve: area.key.curve, x: toHex(area.key.x), y: toHex(area.key.y) }),
  nameAlg: area.nameAlg,
  scheme: areaSchemeText(area),
  attributes: attributeNames(area),
  symmetric: area.symmetric === undefined ? null : algorithmId(area.symmetric.algorithm),
  authPolicy: toHex(area.authPolicy),
})

/** The scheme that a key is made for: `rsassa:sha256`, `null`, or the numbers of one that Assay does not verify. */
export const areaSchemeText = ({ scheme }: PublicArea): string => {
  switch (scheme.kind) {
    case "null":
      return "null"
    case "unsupported":
      return schemeText({ kind: "unsupported", sigAlg: scheme.scheme, hashAlg: scheme.hashAlg })
    case "rsassa":
    case "rsapss":
    case "ecdsa":
      return `${scheme.kind}:${scheme.hash}`
  }
}

const ATTRIBUTE_NAMES = Object.keys(ATTRIBUTES).filter((name): name is AttributeName => name in ATTRIBUTES)

const attributeNames = (area: PublicArea): AttributeName[] =>
  ATTRIBUTE_NAMES.filter((name) => hasAttribute(area, name))

/** A finding of an appraisal. */
export const findingJson = ({ rule, tier, code, location, expected, actual, claim }: Finding) => ({
  rule,
  tier,
  code: code ?? null,
  location,
  expected,
  actual,
  claim: claim === undefined ? undefined : { [claim[0]]: claim[1] },
})
