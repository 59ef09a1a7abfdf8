import { lengthPrefixed, toHex, utf8 } from "../bytes.ts"
import type { AnchorRecord, CrlRecord, IntermediateRecord, ListedEk } from "../service/ports.ts"
import { checkDigest, sha256 } from "./digest.ts"
import { blob, instant, type Row, text } from "./row.ts"

/*
 * Rows are read back as they were stored, or not at all: a plain Error becomes REGISTRY where the query was made.
 */

type Settings = Pick<AnchorRecord, "id" | "label" | "purpose" | "revocation" | "provenance">

const settingsBytes = (
  tenant: string,
  { id, label, purpose, revocation, provenance }: Settings,
): Uint8Array => lengthPrefixed(...[tenant, id, label, purpose, revocation, provenance].map(utf8))

/** SHA-256 over all of an anchor that its certificate does not say: one flipped bit makes an `ak` of an `ek`. */
export const settingsDigest = (tenant: string, settings: Settings): Uint8Array =>
  sha256(settingsBytes(tenant, settings))

/** A row of `trust_anchors`. */
export const anchorFrom = (row: Row): AnchorRecord => {
  const anchor = {
    tenant: text(row, "tenant"),
    ...certificateFrom(row),
    label: text(row, "label"),
    purpose: knownOf(PURPOSES, text(row, "purpose")),
    revocation: knownOf(REVOCATION_MODES, text(row, "revocation")),
    provenance: text(row, "provenance"),
    addedAt: instant(row, "added_at"),
  }
  checkDigest(settingsBytes(anchor.tenant, anchor), blob(row, "digest"), "the settings of an anchor")
  return anchor
}

/** A row of `trust_intermediates`. */
export const intermediateFrom = (row: Row): IntermediateRecord => ({
  tenant: text(row, "tenant"),
  ...certificateFrom(row),
  source: text(row, "source"),
  addedAt: instant(row, "added_at"),
})

const certificateFrom = (row: Row): Pick<AnchorRecord, "id" | "certificate"> => {
  const [id, certificate] = [blob(row, "id"), blob(row, "certificate")]
  checkDigest(certificate, id, "a certificate")
  return { id: toHex(id), certificate }
}

/** A row of `trust_crls`. */
export const crlFrom = (row: Row): CrlRecord => {
  const [id, crl] = [blob(row, "id"), blob(row, "crl")]
  checkDigest(crl, id, "a revocation list")
  return {
    tenant: text(row, "tenant"),
    source: text(row, "source"),
    id: toHex(id),
    crl,
    addedAt: instant(row, "added_at"),
  }
}

/** A row of `listed_eks`. */
export const ekFrom = (row: Row): ListedEk => ({
  tenant: text(row, "tenant"),
  digest: blob(row, "digest"),
  label: text(row, "label"),
  addedAt: instant(row, "added_at"),
})

const PURPOSES: readonly AnchorRecord["purpose"][] = ["ek", "ak", "any"]
const REVOCATION_MODES: readonly AnchorRecord["revocation"][] = ["require", "when-published", "off"]

const knownOf = <T extends string>(known: readonly T[], value: string): T => {
  const found = known.find((one) => one === value)
  if (found === undefined) throw new Error(`a setting that nobody knows: ${value}`)
  return found
}
