/**
 * The parts of a journal as JSON, and back. Members stand in one order, digests are lowercase hexadecimal, instants as
 * `toISOString` writes them, and what is absent is left out. What the readers throw is a TypeError that says what was
 * expected; that nothing else stood there is for their caller to see to, by writing again what was read.
 */
import { fromHex, toHex } from "../bytes.ts"
import { isObject, type JsonObject } from "../evidence/json.ts"
import type { RecordContent } from "../verification/journal/record.ts"
import type { ChainedRecord, JournalEntry } from "../verification/journal/verify.ts"

/** What the first line says. */
export interface JournalHeader {
  readonly tenant: string
  /** `iss` of its checkpoints. */
  readonly issuer: string
  readonly exportedAt: Date
}

/** Another one is of a later Assay. */
const VERSION = 1

/** The first line. */
export const headerJson = ({ tenant, issuer, exportedAt }: JournalHeader) => ({
  kind: "journal",
  version: VERSION,
  tenant,
  issuer,
  exportedAt: exportedAt.toISOString(),
})

/** A record or a checkpoint. */
export const entryJson = (entry: JournalEntry): object => {
  switch (entry.kind) {
    case "checkpoint":
      return { kind: "checkpoint", checkpoint: entry.compact }
    case "record":
      return { kind: "record", ...recordJson(entry) }
  }
}

/** A record. */
export const recordJson = ({ writer, sequence, hash, content }: ChainedRecord) => ({
  writer,
  sequence,
  hash: toHex(hash),
  at: content.at.toISOString(),
  caller: content.caller,
  act: content.act,
  device: content.device,
  outcome: content.outcome,
  codes: content.codes,
  evidenceDigest: toHex(content.evidenceDigest),
  policyDigest: content.policyDigest && toHex(content.policyDigest),
  revisions: content.revisions && revisionsJson(content.revisions),
  tokenId: content.tokenId,
})

const revisionsJson = ({ device, policy, trust }: NonNullable<RecordContent["revisions"]>) => ({
  device,
  policy: policy && { name: policy.name, revision: policy.revision },
  trust,
})

/** Reads the first line. */
export const headerOf = (json: JsonObject): JournalHeader => {
  if (json["kind"] !== "journal") throw new TypeError("the first line of a journal")
  if (json["version"] !== VERSION) throw new TypeError(`a journal of version ${VERSION}`)
  return {
    tenant: text(json, "tenant"),
    issuer: text(json, "issuer"),
    exportedAt: instant(json, "exportedAt"),
  }
}

/** Reads a record or a checkpoint. */
export const entryOf = (json: JsonObject): JournalEntry => {
  switch (json["kind"]) {
    case "checkpoint":
      return { kind: "checkpoint", compact: text(json, "checkpoint") }
    case "record":
      return {
        kind: "record",
        writer: text(json, "writer"),
        sequence: whole(json, "sequence"),
        hash: bytes(json, "hash"),
        content: contentOf(json),
      }
    default:
      throw new TypeError("a record, a checkpoint or the end")
  }
}

const contentOf = (json: JsonObject): RecordContent => ({
  at: instant(json, "at"),
  caller: text(json, "caller"),
  act: text(json, "act"),
  device: text(json, "device"),
  outcome: text(json, "outcome"),
  codes: texts(json, "codes"),
  evidenceDigest: bytes(json, "evidenceDigest"),
  policyDigest: optional(json, "policyDigest", bytes),
  revisions: optional(json, "revisions", revisions),
  tokenId: optional(json, "tokenId", text),
})

const revisions = (json: JsonObject, name: string): NonNullable<RecordContent["revisions"]> => {
  const value = object(json, name)
  return {
    device: optional(value, "device", whole),
    policy: optional(value, "policy", (from, member) => {
      const policy = object(from, member)
      return { name: text(policy, "name"), revision: whole(policy, "revision") }
    }),
    trust: optional(value, "trust", whole),
  }
}

const optional = <T>(
  json: JsonObject,
  name: string,
  read: (json: JsonObject, name: string) => T,
): T | undefined => (json[name] === undefined ? undefined : read(json, name))

const text = (json: JsonObject, name: string): string => {
  const value = json[name]
  if (typeof value !== "string") throw new TypeError(`text as ${name}`)
  return value
}

const texts = (json: JsonObject, name: string): readonly string[] => {
  const value = json[name]
  const isText = (one: unknown): one is string => typeof one === "string"
  if (!Array.isArray(value) || !value.every(isText)) throw new TypeError(`a list of text as ${name}`)
  return value
}

const whole = (json: JsonObject, name: string): number => {
  const value = json[name]
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw new TypeError(`a whole number as ${name}`)
  return value
}

const bytes = (json: JsonObject, name: string): Uint8Array => {
  const value = fromHex(text(json, name))
  if (value === undefined) throw new TypeError(`hexadecimal as ${name}`)
  return value
}

const instant = (json: JsonObject, name: string): Date => {
  const at = new Date(text(json, name))
  if (Number.isNaN(at.getTime())) throw new TypeError(`an instant as ${name}`)
  return at
}

const object = (json: JsonObject, name: string): JsonObject => {
  const value = json[name]
  if (!isObject(value)) throw new TypeError(`an object as ${name}`)
  return value
}
