import { AssayError } from "../../../src/errors.ts"
import type {
  Anchors,
  JournalArchive,
  JournalRecord,
  KeptChain,
  KeptCheckpoint,
  KeptRecord,
} from "../../../src/service/ports.ts"
import { CHAIN_START, nextHead } from "../../../src/verification/journal/chain.ts"

interface Chain {
  readonly tenant: string
  readonly writer: string
  records: KeptRecord[]
  checkpoints: KeptCheckpoint[]
  anchor: KeptCheckpoint | undefined
  head: KeptChain["head"]
  newestAt: Date
}

/** Chains in memory, and what appends to them. Passes the suite that every adapter passes. */
export const memoryArchive = (writer = "a1b2.0") => {
  const chains: Chain[] = []
  let position = 0

  const found = (tenant: string, name: string): Chain | undefined =>
    chains.find((chain) => chain.tenant === tenant && chain.writer === name)
  const ofTenant = (tenant: string): readonly Chain[] =>
    chains.filter((chain) => chain.tenant === tenant).sort((a, b) => (a.writer < b.writer ? -1 : 1))
  const append = (record: JournalRecord, by = writer): void => {
    let chain = found(record.tenant, by)
    const { head = CHAIN_START } = chain ?? {}
    const next = nextHead({ tenant: record.tenant, writer: by }, head, record)
    if (chain === undefined) {
      const made = { records: [], checkpoints: [], anchor: undefined, head, newestAt: new Date(0) }
      chain = { tenant: record.tenant, writer: by, ...made }
      chains.push(chain)
    }
    position += 1
    chain.records.push({ ...next, writer: by, content: record, position })
    chain.head = next
    if (record.at > chain.newestAt) chain.newestAt = record.at
  }
  const beginnings = (tenant: string): Anchors =>
    ofTenant(tenant).flatMap(({ writer, anchor }) =>
      anchor === undefined ? [] : [{ writer, number: anchor.number }],
    )

  const archive: JournalArchive = {
    writer: async () => writer,
    async list(tenant, { device, act, since, until }, before, max) {
      const all = ofTenant(tenant)
        .flatMap(({ records }) => records)
        .filter(
          ({ position, content }) =>
            (before === undefined || position < before) &&
            (device === undefined || content.device === device) &&
            (act === undefined || content.act === act) &&
            (since === undefined || content.at >= since) &&
            (until === undefined || content.at < until),
        )
        .sort((a, b) => b.position - a.position)
      const records = all.slice(0, max)
      return { records, next: all.length > max ? records.at(-1)?.position : undefined }
    },
    chains: async (tenant) =>
      ofTenant(tenant).map(({ writer, head, newestAt, anchor, checkpoints }) => ({
        writer,
        head,
        newestAt,
        anchor,
        checkpoint: checkpoints.at(-1),
      })),
    records: async (tenant, name, after, max) =>
      (found(tenant, name)?.records ?? []).filter(({ sequence }) => sequence > after).slice(0, max),
    checkpoints: async (tenant, name, after, max) =>
      (found(tenant, name)?.checkpoints ?? []).filter(({ number }) => number > after).slice(0, max),
    checkpointBefore: async (tenant, name, before) =>
      (found(tenant, name)?.checkpoints ?? []).filter(({ newestAt }) => newestAt < before).at(-1),
    async addCheckpoint(tenant, name, checkpoint) {
      const chain = found(tenant, name)
      if (chain === undefined) throw new AssayError("JOURNAL", "there is no such chain")
      if (checkpoint.number !== (chain.checkpoints.at(-1)?.number ?? 0) + 1) return false
      chain.checkpoints.push(checkpoint)
      return true
    },
    async begin(tenant, from, to, record) {
      const spelled = (anchors: Anchors): string =>
        JSON.stringify(anchors.map(({ writer, number }) => [writer, number]))
      if (spelled(from) !== spelled(beginnings(tenant)))
        throw new AssayError("SNAPSHOT_MOVED", "somebody else removed records meanwhile")
      for (const { writer, number } of to) {
        const chain = found(tenant, writer)
        const anchor = chain?.checkpoints.find((checkpoint) => checkpoint.number === number)
        if (chain === undefined || anchor === undefined)
          throw new AssayError("JOURNAL", "there is no such checkpoint")
        chain.anchor = anchor
      }
      append(record)
    },
    async sweep(tenant, max) {
      for (const chain of ofTenant(tenant)) {
        const { anchor } = chain
        if (anchor === undefined) continue
        chain.checkpoints = chain.checkpoints.filter(({ number }) => number >= anchor.number)
        const old = chain.records.filter(({ sequence }) => sequence <= anchor.sequence).slice(0, max)
        if (old.length === 0) continue
        chain.records = chain.records.filter((record) => !old.includes(record))
        return old.length
      }
      return 0
    },
  }
  return { archive, append }
}
