import { hash } from "node:crypto"
import { clone } from "@bufbuild/protobuf"
import { sameBytes } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { type VerifyRequest, VerifyRequestSchema } from "../gen/assay/v1/attestation_pb.ts"
import { tpmEvidence } from "./attester.ts"

/** An answer, and the log that Assay knows of the device from now on. */
export interface VerifiedNaming<Verdict> {
  readonly verdict: Verdict
  /** SHA-256, to be kept for the next time; nothing if the evidence has no log. 32 bytes. */
  readonly shown: Uint8Array | undefined
}

/**
 * Sends evidence with its log named if the device has shown it before, and with the log if not or if it is asked for: the
 * challenge is unspent then, and the quote answers it still.
 *
 * @param shown What the last call gave. If Assay has forgotten it meanwhile, that costs one more call.
 * @throws {AssayError} whatever `verify` throws.
 */
export async function verifyNamingLog<Verdict>(
  verify: (request: VerifyRequest) => Promise<Verdict>,
  request: VerifyRequest,
  shown: Uint8Array | undefined,
): Promise<VerifiedNaming<Verdict>> {
  const { eventLog } = tpmEvidence(request)
  if (eventLog.length === 0) return { verdict: await verify(request), shown: undefined }
  const digest = new Uint8Array(hash("sha256", eventLog, "buffer"))
  const isShown = shown !== undefined && sameBytes(shown, digest)
  const known = isShown ? await verifyNamed(verify, request, digest) : undefined
  return { verdict: known?.verdict ?? (await verify(request)), shown: digest }
}

/** The verdict on evidence whose log is named; nothing if Assay asks for the log. */
const verifyNamed = async <Verdict>(
  verify: (request: VerifyRequest) => Promise<Verdict>,
  request: VerifyRequest,
  digest: Uint8Array,
): Promise<{ readonly verdict: Verdict } | undefined> => {
  try {
    return { verdict: await verify(namingLog(request, digest)) }
  } catch (error) {
    if (error instanceof AssayError && error.code === "EVENT_LOG_NEEDED" && error.challenge !== "spent")
      return undefined
    throw error
  }
}

/** The same request with its log named. */
export const namingLog = (request: VerifyRequest, digest: Uint8Array): VerifyRequest => {
  const named = clone(VerifyRequestSchema, request)
  const evidence = tpmEvidence(named)
  evidence.eventLog = new Uint8Array()
  evidence.eventLogDigest = digest
  return named
}
