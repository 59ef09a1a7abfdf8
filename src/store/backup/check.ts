/** What rows of a backup say together, beyond what each column may hold: digests, counts, and the chains of the journal. */

import { sameBytes, utf8 } from "../../bytes.ts"
import { AssayError } from "../../errors.ts"
import { CHAIN_START, type ChainHead, nextHead } from "../../verification/journal/chain.ts"
import { readCheckpoint, type VerifyJws } from "../../verification/journal/checkpoint.ts"
import { deviceFrom, labelsColumn } from "../device-row.ts"
import { checkDigest } from "../digest.ts"
import { tokenFrom } from "../enrollment-tokens.ts"
import { recordFrom } from "../journal-append.ts"
import { blob, integer, type Row, text } from "../row.ts"
import { anchorFrom, crlFrom, intermediateFrom } from "../trust-row.ts"
import type { BackupRow } from "./format.ts"
import type { BackupTableName } from "./tables.ts"

/** Looks at the rows of one backup, in their order. */
export interface BackupCheck {
  /** @throws {Error} that says what is wrong. */
  take(row: BackupRow): void
  /** @throws {Error} if something is missing. */
  end(): void
}

interface ChainState {
  readonly end: ChainHead
  head: ChainHead
  /** The checkpoint that an anchor may name. */
  first: { readonly number: number; readonly head: ChainHead } | undefined
}

interface TrustTally {
  anchors: number
  intermediates: number
  crls: number
  crl_bytes: number
  eks: number
}

const keyOf = (...names: readonly string[]): string => JSON.stringify(names)
const nameOf = (row: Row): string => keyOf(text(row, "tenant"), text(row, "name"))
const chainOf = (row: Row): string => keyOf(text(row, "tenant"), text(row, "writer"))

export const createBackupCheck = (): BackupCheck => {
  const policies = new Map<string, number>()
  const documents = new Map<string, number>()
  const chains = new Map<string, ChainState>()
  const tallies = new Map<string, TrustTally>()

  const tallyOf = (row: Row): TrustTally => {
    const tenant = text(row, "tenant")
    const found = tallies.get(tenant) ?? { anchors: 0, intermediates: 0, crls: 0, crl_bytes: 0, eks: 0 }
    tallies.set(tenant, found)
    return found
  }
  const chainAt = (row: Row): ChainState => {
    const found = chains.get(chainOf(row))
    if (found === undefined) throw new Error("a chain that has a head")
    return found
  }

  const known: Partial<Record<BackupTableName, (row: Row) => void>> = {
    policies: (row) => void policies.set(nameOf(row), integer(row, "revision")),
    policy_documents: (row) => {
      checkDigest(utf8(text(row, "document")), blob(row, "digest"), "a policy document")
      documents.set(nameOf(row), integer(row, "revision"))
    },
    devices: checkDevice,
    enrollment_tokens: checkToken,
    trust_anchors: (row) => {
      anchorFrom(row)
      tallyOf(row).anchors += 1
    },
    trust_intermediates: (row) => {
      intermediateFrom(row)
      tallyOf(row).intermediates += 1
    },
    trust_crls: (row) => {
      const tally = tallyOf(row)
      tally.crls += 1
      tally.crl_bytes += crlFrom(row).crl.length
    },
    listed_eks: (row) => {
      tallyOf(row).eks += 1
    },
    trust_state: (row) => {
      checkTrust(row, tallyOf(row))
      tallies.delete(text(row, "tenant"))
    },
    journal_heads: (row) => {
      const end = { sequence: integer(row, "sequence"), hash: blob(row, "hash") }
      chains.set(chainOf(row), { end, head: CHAIN_START, first: undefined })
    },
    journal_checkpoints: (row) => takeCheckpoint(chainAt(row), row),
    journal_anchors: (row) => takeAnchor(chainAt(row), row),
    journal: (row) => takeRecord(chainAt(row), row),
  }
  return {
    take: ({ table, row }) => known[table.name]?.(row),
    end: () => {
      for (const [policy, revision] of policies)
        if (documents.get(policy) !== revision) throw new Error(`the latest document of the policy ${policy}`)
      if (documents.size !== policies.size) throw new Error("no document of a policy that is not there")
      for (const [tenant] of tallies) throw new Error(`the count of what ${tenant} trusts`)
      for (const [chain, { head, end }] of chains)
        if (!isSame(head, end)) throw new Error(`the journal ${chain} up to record ${end.sequence}`)
    },
  }
}

const isSame = (a: ChainHead, b: ChainHead): boolean => a.sequence === b.sequence && sameBytes(a.hash, b.hash)

const COUNTERS = ["clock_ms", "reset_count", "restart_count", "safe", "recorded_at"]
const RESULT = ["result_at", "tier"]
const PERMIT = ["permit_kind", "permit_expires_at"]

const checkDevice = (row: Row): void => {
  for (const [all, optional] of [
    [COUNTERS, ["firmware_version"]],
    [RESULT, ["code", "admitted_at"]],
    [PERMIT, ["permit_ek", "permit_ak"]],
  ] as const) {
    const there = all.filter((column) => row[column] !== null)
    const more = optional.filter((column) => row[column] !== null)
    if (there.length !== all.length && there.length + more.length > 0)
      throw new Error(`all of ${all.join(", ")}, or none`)
  }
  const { labels } = deviceFrom(row)
  if (labelsColumn(labels) !== row["labels"]) throw new Error("labels in the order of their keys")
}

const checkToken = (row: Row): void => {
  const { labels, uses, usesMax } = tokenFrom(row)
  if (labelsColumn(labels) !== row["labels"]) throw new Error("labels in the order of their keys")
  if (uses > usesMax) throw new Error(`at most ${usesMax} uses`)
}

const checkTrust = (row: Row, tally: TrustTally): void => {
  for (const [sort, count] of Object.entries(tally))
    if (row[sort] !== count) throw new Error(`${count} as the number of ${sort}`)
}

/** Reads what a checkpoint says, and leaves who signed it to whoever has the keys. */
const UNVERIFIED: VerifyJws = () => {
  throw new AssayError("TOKEN_KEY", "no key is asked for", { location: "kid" })
}

const takeCheckpoint = (chain: ChainState, row: Row): void => {
  const { chain: named, head } = readCheckpoint(text(row, "compact"), UNVERIFIED)
  const isOfChain = named.tenant === row["tenant"] && named.writer === row["writer"]
  if (!isOfChain || head.sequence !== row["sequence"])
    throw new Error("a checkpoint of this chain and record")
  chain.first ??= { number: integer(row, "number"), head }
}

const takeAnchor = (chain: ChainState, row: Row): void => {
  const { first } = chain
  if (first === undefined || first.number !== row["number"] || first.head.sequence !== row["sequence"])
    throw new Error("the chain's first checkpoint")
  chain.head = first.head
}

const takeRecord = (chain: ChainState, row: Row): void => {
  const id = { tenant: text(row, "tenant"), writer: text(row, "writer") }
  const head = nextHead(id, chain.head, recordFrom(row))
  if (!isSame(head, { sequence: integer(row, "sequence"), hash: blob(row, "hash") }))
    throw new Error("the next record of its chain, with the hash that stands for all of it")
  chain.head = head
}
