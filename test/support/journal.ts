/** Journals for tests: records of many kinds, chained, with signed checkpoints between them. */
import { verifyCompact } from "../../src/jwt/compact.ts"
import { prepareKeySet } from "../../src/jwt/keyset.ts"
import { encodeCheckpoint } from "../../src/result/checkpoint.ts"
import { anchorsDigest } from "../../src/verification/journal/anchors.ts"
import { CHAIN_START, type ChainHead, nextHead } from "../../src/verification/journal/chain.ts"
import {
  type Checkpoint,
  checkpointDigest,
  type VerifyJws,
} from "../../src/verification/journal/checkpoint.ts"
import type { RecordContent } from "../../src/verification/journal/record.ts"
import type { ChainedRecord, JournalEntry } from "../../src/verification/journal/verify.ts"
import { digestOf, NOON } from "./ports/samples.ts"
import { SIGNER_TIME, type TestSigner, testSigner } from "./signer.ts"

export const ISSUER = "https://assay.example"
export const TENANT = "default"
export const WRITER = "a1b2.0"

/** What a record says, with every member there unless `change` takes it away. */
export const recordContent = (change: Partial<RecordContent> = {}): RecordContent => ({
  at: NOON,
  caller: "gateway",
  act: "verify",
  device: "device-1",
  outcome: "affirming",
  codes: ["EK_MISSING", "AK_BINDING_UNPROVEN"],
  evidenceDigest: digestOf("evidence"),
  policyDigest: digestOf("policy"),
  revisions: { device: 3, policy: { name: "base", revision: 7 }, trust: 5 },
  tokenId: "token-1",
  ...change,
})

/** Verifies by the keys of these signers, as relying parties do. */
export const verifyBy = (...signers: readonly TestSigner[]): VerifyJws => {
  const keys = prepareKeySet({ keys: signers.flatMap(({ jwks }) => jwks.keys) })
  return (compact) => verifyCompact(compact, keys)
}

/** One chain under construction. */
export interface ChainBuilder {
  readonly entries: JournalEntry[]
  readonly head: () => ChainHead
  readonly add: (change?: Partial<RecordContent>) => ChainBuilder
  /** Signs where the chain is; `change` makes it say something else. */
  readonly checkpoint: (change?: Partial<Checkpoint>, signer?: TestSigner) => ChainBuilder
  /** Takes what is older than the checkpoint of this number (from 0) away. */
  readonly prune: (checkpoint: number) => ChainBuilder
  /** The record that says so, for chains that begin with these checkpoints. */
  readonly tell: (...anchors: readonly ChainBuilder[]) => ChainBuilder
  /** The last checkpoint. */
  readonly last: () => string
}

export const chainBuilder = (
  signer: TestSigner,
  { tenant = TENANT, writer = WRITER }: { tenant?: string; writer?: string } = {},
): ChainBuilder => {
  const entries: JournalEntry[] = []
  let head = CHAIN_START
  let before: { compact: string; sequence: number } | undefined
  const builder: ChainBuilder = {
    entries,
    head: () => head,
    add: (change = {}) => {
      const content = recordContent({ device: `device-${head.sequence}`, ...change })
      head = nextHead({ tenant, writer }, head, content)
      entries.push({ kind: "record", writer, ...head, content })
      return builder
    },
    checkpoint: (change = {}, by = signer) => {
      const compact = encodeCheckpoint(
        {
          chain: { tenant, writer },
          head,
          previous: before && checkpointDigest(before.compact),
          count: head.sequence - (before?.sequence ?? 0),
          issuer: ISSUER,
          issuedAt: Math.floor(SIGNER_TIME.getTime() / 1000),
          ...change,
        },
        by,
      )
      before = { compact, sequence: head.sequence }
      entries.push({ kind: "checkpoint", compact })
      return builder
    },
    prune: (number) => {
      const places = entries.flatMap(({ kind }, i) => (kind === "checkpoint" ? [i] : []))
      entries.splice(0, places[number])
      return builder
    },
    tell: (...chains) => {
      const anchors = chains.map((chain) => {
        const [first] = chain.entries
        if (first?.kind !== "checkpoint") throw new Error("not pruned")
        return { writer: writerOf(chain), compact: first.compact }
      })
      return builder.add({ act: "prune-journal", evidenceDigest: anchorsDigest(tenant, anchors) })
    },
    last: () => before?.compact ?? "",
  }
  builders.set(builder, writer)
  return builder
}

const builders = new WeakMap<ChainBuilder, string>()
const writerOf = (builder: ChainBuilder): string => builders.get(builder) ?? ""

/** Twelve records of one writer, with a checkpoint after each four, and who signed them. */
export const sampleChain = (options: { tenant?: string; writer?: string } = {}) => {
  const signer = testSigner()
  const chain = chainBuilder(signer, options)
  for (let n = 1; n <= 12; n += 1) {
    chain.add()
    if (n % 4 === 0) chain.checkpoint()
  }
  return { signer, chain, entries: [...chain.entries] }
}

/** The record of this number among `entries`. */
export const recordOf = (entries: readonly JournalEntry[], sequence: number): ChainedRecord => {
  const found = entries.find((entry) => entry.kind === "record" && entry.sequence === sequence)
  if (found?.kind !== "record") throw new Error(`no record ${sequence}`)
  return found
}

/** `bytes` with one bit turned. */
export const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte))
