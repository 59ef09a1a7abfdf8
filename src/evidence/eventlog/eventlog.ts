import { AssayError } from "../../errors.ts"
import { Reader } from "../reader.ts"
import { algorithmId, DIGEST_BYTES_MAX, HASHES, type HashName, hashName } from "../tpm/algorithm.ts"

/** EV_NO_ACTION: says something about the log, and is never extended. */
export const EV_NO_ACTION = 0x00000003

/** One record of the log. Its type and data are covered by no digest unless a later check says so. */
export interface Event {
  /** Counts the log's records from 0, the header included. */
  readonly sequence: number
  readonly pcr: number
  readonly untrustedType: number
  /** By bank; banks whose hash Assay does not compute are left out. */
  readonly digests: ReadonlyMap<HashName, Uint8Array>
  readonly untrustedData: Uint8Array
  /** Where the record begins in the log. */
  readonly offset: number
}

/** A parsed TCG event log. */
export interface EventLog {
  readonly format: "crypto-agile" | "sha1"
  /** The banks that its records have digests for, in the order of the header. */
  readonly banks: readonly HashName[]
  readonly events: readonly Event[]
  /** Bytes of one value (00 or ff) behind the last record: the unused end of the firmware's buffer. */
  readonly paddingBytes: number
}

/** Bounds of a log: what real firmware writes is 10 to 100 KiB and some hundred records. */
export const LOG_BYTES_MAX = 1 << 20
const EVENTS_MAX = 4096
const EVENT_DATA_BYTES_MAX = 1 << 19
const ALGORITHMS_MAX = 16

const SPEC_ID_SIGNATURE = "Spec ID Event03\0"
const SPEC_ID_SIGNATURE_BYTES = 16

/**
 * Parses a TCG event log in either form, as Linux shows it in `binary_bios_measurements`.
 *
 * Shape, little-endian. SHA-1 form: pcr u32, type u32, digest 20 bytes, data sized by a u32. Crypto-agile form:
 * a first record in the SHA-1 form whose data is a TCG_EfiSpecIDEvent ("Spec ID Event03", the banks and their
 * digest sizes), then pcr u32, type u32, digest count u32, for each digest hash u16 and as many bytes as the
 * header says, data sized by a u32. What comes back are views on `bytes`.
 *
 * Nothing here is proven: `verifyReplay` compares it with quoted PCRs, and even then types and most data are
 * only what somebody wrote beside the digests.
 *
 * @throws {AssayError} SPEC_ID, EVENT, FRAMING, LENGTH; LOG_SIZE over 1 MiB or 4096 records.
 * @see TCG PC Client Platform Firmware Profile 1.05, 10.
 */
export function parseEventLog(bytes: Uint8Array): EventLog {
  checkLogSize(bytes)
  const r = new Reader(bytes, "event log", "little-endian")
  const first = readSha1Event(r, 0)
  const algorithms = parseSpecId(first)
  const events = [first]
  const fillOffset = fillOffsetOf(bytes)
  while (r.offset < fillOffset) {
    if (events.length === EVENTS_MAX) throw r.error("LOG_SIZE", undefined, `more than ${EVENTS_MAX} records`)
    events.push(
      algorithms === undefined ? readSha1Event(r, events.length) : readEvent(r, events.length, algorithms),
    )
  }
  const paddingBytes = r.remaining
  return algorithms === undefined
    ? { format: "sha1", banks: ["sha1"], events, paddingBytes }
    : {
        format: "crypto-agile",
        banks: [...algorithms.values()].flatMap((a) => a.hash ?? []),
        events,
        paddingBytes,
      }
}

/** @throws {AssayError} LOG_SIZE. */
export function checkLogSize(bytes: Uint8Array): void {
  if (bytes.length > LOG_BYTES_MAX)
    throw new AssayError("LOG_SIZE", "the event log is larger than any that Assay reads", {
      location: "event log",
      expected: `at most ${LOG_BYTES_MAX} bytes`,
      actual: `${bytes.length} bytes`,
    })
}

interface Algorithm {
  readonly hash: HashName | undefined
  readonly sizeBytes: number
  /** One of its own among those of the log, of which there are 16 at most. */
  readonly bit: number
}

/** The banks that the header announces, by identifier; nothing if the first record is no header. */
function parseSpecId(first: Event): ReadonlyMap<number, Algorithm> | undefined {
  if (first.untrustedType !== EV_NO_ACTION || first.untrustedData.length < SPEC_ID_SIGNATURE_BYTES)
    return undefined
  const r = new Reader(first.untrustedData, "TCG_EfiSpecIDEvent", "little-endian")
  if (Buffer.from(r.take("signature", SPEC_ID_SIGNATURE_BYTES)).toString("latin1") !== SPEC_ID_SIGNATURE)
    return undefined
  r.u32("platformClass")
  r.take("specVersion", 3)
  r.u8("uintnSize")
  const count = r.count("numberOfAlgorithms", ALGORITHMS_MAX)
  if (count === 0) throw r.error("SPEC_ID", "numberOfAlgorithms", "a log without any bank")
  const algorithms = new Map<number, Algorithm>()
  for (let i = 0; i < count; i++) {
    r.index = i
    const id = r.u16("digestSizes[].algorithmId")
    const sizeBytes = r.u16("digestSizes[].digestSize")
    const hash = hashName(id)
    const expected = hash === undefined ? undefined : HASHES[hash].sizeBytes
    if (
      algorithms.has(id) ||
      sizeBytes > DIGEST_BYTES_MAX ||
      (expected !== undefined && expected !== sizeBytes)
    )
      throw r.error("SPEC_ID", "digestSizes[]", "a bank that occurs twice or has another digest size", {
        actual: `${algorithmId(id)} with ${sizeBytes} bytes`,
      })
    algorithms.set(id, { hash, sizeBytes, bit: 1 << i })
  }
  r.take("vendorInfo", r.u8("vendorInfoSize"))
  r.end()
  return algorithms
}

function readSha1Event(r: Reader, sequence: number): Event {
  const { offset } = r
  r.index = sequence
  const pcr = r.u32("events[].pcr")
  const untrustedType = r.u32("events[].type")
  const digest = r.take("events[].digest", HASHES.sha1.sizeBytes)
  const untrustedData = r.sized32("events[].data", EVENT_DATA_BYTES_MAX)
  return { sequence, pcr, untrustedType, digests: new Map([["sha1", digest]]), untrustedData, offset }
}

function readEvent(r: Reader, sequence: number, algorithms: ReadonlyMap<number, Algorithm>): Event {
  const { offset } = r
  r.index = sequence
  const pcr = r.u32("events[].pcr")
  const untrustedType = r.u32("events[].type")
  const count = r.count("events[].digests.count", ALGORITHMS_MAX)
  const digests = new Map<HashName, Uint8Array>()
  let seen = 0
  for (let i = 0; i < count; i++) {
    const id = r.u16("events[].digests.hashAlg")
    const algorithm = algorithms.get(id)
    if (algorithm === undefined || (seen & algorithm.bit) !== 0)
      throw r.error("EVENT", "events[].digests", "a bank twice, or one that the header does not name", {
        actual: algorithmId(id),
      })
    seen |= algorithm.bit
    const digest = r.take("events[].digests.digest", algorithm.sizeBytes)
    if (algorithm.hash !== undefined) digests.set(algorithm.hash, digest)
  }
  const untrustedData = r.sized32("events[].data", EVENT_DATA_BYTES_MAX)
  return { sequence, pcr, untrustedType, digests, untrustedData, offset }
}

/**
 * Where the bytes of one value begin that fill the log to its very end: all zeros or all ones. No record lies
 * wholly in there, for one of zeros would be an event of type 0 with neither data nor a digest of anything.
 * Found once, from the end: looking ahead at each record would cost the square of a log of zeros.
 */
function fillOffsetOf(bytes: Uint8Array): number {
  const fill = bytes[bytes.length - 1]
  if (fill !== 0x00 && fill !== 0xff) return bytes.length
  let offset = bytes.length
  while (offset > 0 && bytes[offset - 1] === fill) offset--
  return offset
}
