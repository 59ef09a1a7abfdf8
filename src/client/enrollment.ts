import type { MessageInitShape } from "@bufbuild/protobuf"
import {
  type BeginEnrollmentRequestSchema,
  type BeginEnrollmentResponse,
  type CompleteEnrollmentRequestSchema,
  type CompleteEnrollmentResponse,
  EnrollmentService,
} from "../gen/assay/v1/enrollment_pb.ts"
import { type CallOptions, type ConnectionOptions, connect } from "./connection.ts"

/**
 * A client of EnrollmentService. Every method throws the server's AssayError; `challenge` of one that `completeEnrollment`
 * throws says whether the enrollment was spent, and has to be begun again.
 */
export interface EnrollmentClient {
  beginEnrollment(
    request: MessageInitShape<typeof BeginEnrollmentRequestSchema>,
    options?: CallOptions,
  ): Promise<BeginEnrollmentResponse>
  /** Over the connection, or with the credential, that began it. */
  completeEnrollment(
    request: MessageInitShape<typeof CompleteEnrollmentRequestSchema>,
    options?: CallOptions,
  ): Promise<CompleteEnrollmentResponse>
  close(): void
}

/**
 * A client for the server at `address`, see `parseAddress`.
 *
 * @throws {AssayError} INPUT.
 */
export function createEnrollmentClient(address: string, options: ConnectionOptions = {}): EnrollmentClient {
  const { unary, close } = connect(address, options)
  const { beginEnrollment, completeEnrollment } = EnrollmentService.method
  return {
    beginEnrollment: (request, call) => unary(beginEnrollment, request, call),
    completeEnrollment: (request, call) => unary(completeEnrollment, request, call),
    close,
  }
}
