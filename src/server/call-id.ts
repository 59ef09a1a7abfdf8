import { randomFillSync } from "node:crypto"

const ID_BYTES = 16
/** Bytes for so many calls at a time: to ask for random bytes takes longer than all else. */
const CALLS = 128
const random = Buffer.alloc(CALLS * ID_BYTES)
let used = random.length

/** What a call is known by, in the log and to its caller: 128 random bits, in hex. */
export function newCallId(): string {
  if (used === random.length) {
    randomFillSync(random)
    used = 0
  }
  used += ID_BYTES
  return random.toString("hex", used - ID_BYTES, used)
}
