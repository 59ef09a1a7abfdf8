/** A call's failure, as it was thrown in the server. */
import { fromBinary } from "@bufbuild/protobuf"
import { anyUnpack } from "@bufbuild/protobuf/wkt"
import { Metadata, type ServiceError, status } from "@grpc/grpc-js"
import { AssayError, CODES, type Code } from "../errors.ts"
import { type ErrorInfo, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../gen/google/rpc/status_pb.ts"

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && "code" in error && "metadata" in error && error.metadata instanceof Metadata

const isCode = (text: string): text is Code => Object.hasOwn(CODES, text)

/** Statuses that gRPC gives by itself when no answer came, or none in time. */
const NO_ANSWER: readonly status[] = [status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED]

/** What OpenSSL says of bytes that are none of TLS. */
const NOT_TLS = /wrong version number|packet length too long|EPROTO/

/** The AssayError that the server answered with, rebuilt from its details; otherwise NO_ANSWER or INTERNAL with the cause. */
export function errorFromStatus(error: unknown): AssayError {
  if (!isServiceError(error)) return new AssayError("INTERNAL", "the call failed", { cause: error })
  const [bytes] = error.metadata.get("grpc-status-details-bin")
  const details = bytes instanceof Buffer ? detailsOf(bytes) : undefined
  if (details === undefined || !isCode(details.reason)) {
    const code = NO_ANSWER.includes(error.code) ? "NO_ANSWER" : "INTERNAL"
    const text = NOT_TLS.test(error.details) ? "no TLS is spoken there: is it Assay's port?" : error.details
    return new AssayError(code, `${status[error.code]}: ${text}`, { cause: error })
  }
  const { location, expected, actual, challenge } = details.metadata
  const rebuilt = new AssayError(details.reason, error.details, {
    ...(location === undefined ? {} : { location }),
    ...(expected === undefined ? {} : { expected }),
    ...(actual === undefined ? {} : { actual }),
    cause: error,
  })
  if (challenge === "spent" || challenge === "unspent") rebuilt.challenge = challenge
  return rebuilt
}

function detailsOf(bytes: Uint8Array): ErrorInfo | undefined {
  try {
    for (const any of fromBinary(StatusSchema, bytes).details) {
      const info = anyUnpack(any, ErrorInfoSchema)
      if (info?.domain === "assay") return info
    }
  } catch {
    // Details that cannot be read are no details: the status stands for itself.
  }
  return undefined
}
