/** What a caller sees of a failure. Its kind alone decides the status; a fault tells no more than that it happened. */
import { create, type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf"
import { type Any, anyPack, durationFromMs } from "@bufbuild/protobuf/wkt"
import { Metadata, type StatusObject, status } from "@grpc/grpc-js"
import { AssayError, CODES, type Code, type Kind, printable } from "../errors.ts"
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts"
import { type Status, StatusSchema } from "../gen/google/rpc/status_pb.ts"
import { toBuffer, type Violation } from "../rpc.ts"

/** Total by type: a new kind does not compile until it has a status. */
const STATUS_OF: Readonly<Record<Kind, status>> = {
  malformed: status.INVALID_ARGUMENT,
  refuted: status.FAILED_PRECONDITION,
  stale: status.FAILED_PRECONDITION,
  denied: status.PERMISSION_DENIED,
  missing: status.NOT_FOUND,
  exhausted: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  fault: status.INTERNAL,
}

/** Where gRPC has a finer word than the kind. */
const STATUS_OF_CODE: Readonly<Partial<Record<Code, status>>> = {
  CALLER_UNKNOWN: status.UNAUTHENTICATED,
  TOKEN_FORMAT: status.UNAUTHENTICATED,
  TOKEN_ALG: status.UNAUTHENTICATED,
  TOKEN_KEY: status.UNAUTHENTICATED,
  TOKEN_SIGNATURE: status.UNAUTHENTICATED,
  TOKEN_TIME: status.UNAUTHENTICATED,
  TOKEN_CLAIMS: status.UNAUTHENTICATED,
  DEVICE_EXISTS: status.ALREADY_EXISTS,
  ENCODING: status.UNIMPLEMENTED,
  SLOW: status.DEADLINE_EXCEEDED,
  DEADLINE: status.DEADLINE_EXCEEDED,
}

/** How messages may be compressed, for a caller that chose another way (gRPC compression, `grpc-accept-encoding`). */
export const ENCODINGS: readonly string[] = ["identity", "deflate", "gzip"]

/** Limits that another try meets again: there is nothing to wait for. */
const LASTING: readonly Code[] = ["MESSAGE_SIZE", "LOG_SIZE", "DEPTH", "PATH", "TRUST_FULL"]

/** Long enough for challenges to expire and for a burst to pass, short enough to wait for. */
const RETRY_DELAY_MS = 1000

/** Trailers have to fit into what HTTP/2 peers accept as headers: 8 KiB with many, in base64. */
const VIOLATIONS_MAX = 8
const FIELD_CHARACTERS_MAX = 100
const TEXT_CHARACTERS_MAX = 300

/** The code that a failure is known by: INTERNAL for whatever is not an AssayError. */
export const codeOf = (error: unknown): Code => (error instanceof AssayError ? error.code : "INTERNAL")

/** Whether a call has failed for what no honest caller does again and again. */
export const isNoCall = (code: Code): boolean => {
  const { kind } = CODES[code]
  return kind === "malformed" || kind === "denied" || code === "MESSAGE_SIZE"
}

/** Whether it has failed for that, or for how much its caller asks. */
export const isTooMuch = (code: Code): boolean => isNoCall(code) || CODES[code].kind === "exhausted"

/**
 * A failure as google.rpc.Status, with ErrorInfo (reason: the code; domain "assay"; metadata: challenge, location,
 * expected, actual, where there is one), BadRequest for what is malformed, RetryInfo for what is exhausted and will not stay so.
 * `violations` says more than the error's own location.
 */
export function toRpcStatus(error: unknown, violations: readonly Violation[] = []): Status {
  const { code, kind, message, location, expected, actual, retryMs, challenge } =
    error instanceof AssayError ? error : new AssayError("INTERNAL", "")
  const isFault = kind === "fault"
  const known = { challenge: challenge === "none" ? undefined : challenge }
  const metadata = Object.entries(isFault ? known : { ...known, location, expected, actual })
  const details: Any[] = [
    pack(
      ErrorInfoSchema,
      create(ErrorInfoSchema, {
        reason: code,
        domain: "assay",
        metadata: Object.fromEntries(
          metadata.flatMap(([key, value]) => (value ? [[key, value.slice(0, TEXT_CHARACTERS_MAX)]] : [])),
        ),
      }),
    ),
  ]
  if (kind === "malformed") {
    const own = location === undefined ? [] : [{ field: location, description: message }]
    const fieldViolations = (violations.length > 0 ? violations : own)
      .slice(0, VIOLATIONS_MAX)
      .map(({ field, description }) => ({
        field: printable(field).slice(0, FIELD_CHARACTERS_MAX),
        description: printable(description).slice(0, TEXT_CHARACTERS_MAX),
      }))
    details.push(pack(BadRequestSchema, create(BadRequestSchema, { fieldViolations })))
  }
  if (kind === "exhausted" && !LASTING.includes(code))
    details.push(
      pack(
        RetryInfoSchema,
        create(RetryInfoSchema, { retryDelay: durationFromMs(retryMs ?? RETRY_DELAY_MS) }),
      ),
    )
  return create(StatusSchema, {
    code: STATUS_OF_CODE[code] ?? STATUS_OF[kind],
    message: isFault ? "internal error" : message.slice(0, TEXT_CHARACTERS_MAX),
    details,
  })
}

const pack = <S extends DescMessage>(schema: S, message: MessageShape<S>): Any => anyPack(schema, message)

/** A failure as grpc-js sends it: the same, in the trailer grpc-status-details-bin. */
export function toStatus(error: unknown, violations?: readonly Violation[]): StatusObject {
  const rpc = toRpcStatus(error, violations)
  const metadata = new Metadata()
  metadata.set("grpc-status-details-bin", toBuffer(toBinary(StatusSchema, rpc)))
  if (codeOf(error) === "ENCODING") metadata.set("grpc-accept-encoding", ENCODINGS.join())
  return { code: rpc.code, details: rpc.message, metadata }
}
