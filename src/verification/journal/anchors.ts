import { hash } from "node:crypto"
import { checkpointDigest } from "./checkpoint.ts"
import { Parts } from "./parts.ts"

/** Where a chain begins since its older records were removed: the checkpoint that stood for them. */
export interface Anchor {
  readonly writer: string
  readonly compact: string
}

const LABEL = "assay/v1/journal-anchors"

/**
 * What a `prune-journal` record has for its evidence: SHA-256 over a label, the tenant, and writer and checkpoint digest
 * of each chain that no longer begins with its first record, in the order of writers, each after its length. So that a
 * journal whose beginning is gone says so itself, signed, or somebody else took it away.
 */
export const anchorsDigest = (tenant: string, anchors: readonly Anchor[]): Uint8Array => {
  const sorted = anchors.toSorted((a, b) => (a.writer < b.writer ? -1 : 1))
  const parts = new Parts().text(LABEL).text(tenant)
  for (const { writer, compact } of sorted) parts.text(writer).raw(checkpointDigest(compact))
  return hash("sha256", parts.bytes, "buffer")
}
