import { hash } from "node:crypto"
import { toHex } from "../../src/bytes.ts"
import type { LogOwner, LogStore } from "../../src/service/ports.ts"
import type { VerifyInput } from "../../src/service/service.ts"

/** SHA-256 of a log. */
export const logDigest = (log: Uint8Array): Uint8Array => new Uint8Array(hash("sha256", log, "buffer"))

/** The same evidence with its log named. */
export const naming = <Input extends VerifyInput>(
  input: Input,
  eventLogDigest = logDigest(input.evidence.eventLog ?? new Uint8Array()),
): Input => ({ ...input, evidence: { ...input.evidence, eventLog: undefined, eventLogDigest } })

/** A store that keeps everything until somebody else takes it away, and counts what it is asked. */
export const memoryLogs = () => {
  const kept = new Map<string, Uint8Array>()
  const links = new Map<string, Date>()
  const asked = { shown: 0, log: 0, note: 0 }
  const linkOf = ({ tenant, device, akName }: LogOwner, digest: Uint8Array): string =>
    JSON.stringify([tenant, device, toHex(akName), toHex(digest)])
  const store: LogStore = {
    shown: async (owner, digest) => {
      asked.shown++
      return links.get(linkOf(owner, digest))
    },
    log: async (tenant, digest) => {
      asked.log++
      return kept.get(JSON.stringify([tenant, toHex(digest)]))
    },
    note: (owner, { digest, bytes }, at) => {
      asked.note++
      links.set(linkOf(owner, digest), at)
      kept.set(JSON.stringify([owner.tenant, toHex(digest)]), bytes)
    },
  }
  return { asked, store, kept, links }
}
