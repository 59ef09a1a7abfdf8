import { hash } from "node:crypto"
import type { VerifyInput } from "../../src/service/service.ts"

/** SHA-256 of a log. */
export const logDigest = (log: Uint8Array): Uint8Array => new Uint8Array(hash("sha256", log, "buffer"))

/** The same evidence with its log named. */
export const naming = <Input extends VerifyInput>(
  input: Input,
  eventLogDigest = logDigest(input.evidence.eventLog ?? new Uint8Array()),
): Input => ({ ...input, evidence: { ...input.evidence, eventLog: undefined, eventLogDigest } })
