import type { MessageInitShape } from "@bufbuild/protobuf"
import {
  AttestationService,
  type CreateChallengeRequestSchema,
  type CreateChallengeResponse,
  type GetEpochResponse,
  type VerifyRequestSchema,
  type VerifyResponse,
  type VerifyStreamRequestSchema,
  type VerifyStreamResponseSchema,
} from "../gen/assay/v1/attestation_pb.ts"
import { type CallOptions, type ConnectionOptions, connect } from "./connection.ts"
import type { BidiCall } from "./streams.ts"

/** A client of AttestationService. Every method throws the server's AssayError; its `challenge` says whether the challenge was spent. */
export interface AttestationClient {
  createChallenge(
    request: MessageInitShape<typeof CreateChallengeRequestSchema>,
    options?: CallOptions,
  ): Promise<CreateChallengeResponse>
  /** Never call it again with the same challenge: start from `createChallenge`. */
  verify(
    request: MessageInitShape<typeof VerifyRequestSchema>,
    options?: CallOptions,
  ): Promise<VerifyResponse>
  /** Many `verify` on one stream, without a deadline unless `options` sets one. */
  verifyStream(
    options?: CallOptions,
  ): BidiCall<typeof VerifyStreamRequestSchema, typeof VerifyStreamResponseSchema>
  getEpoch(options?: CallOptions): Promise<GetEpochResponse>
  close(): void
}

/**
 * A client for the server at `address`, see `parseAddress`.
 *
 * @throws {AssayError} INPUT.
 */
export function createAttestationClient(address: string, options: ConnectionOptions = {}): AttestationClient {
  const { unary, bidi, close } = connect(address, options)
  const { createChallenge, verify, verifyStream, getEpoch } = AttestationService.method
  return {
    createChallenge: (request, call) => unary(createChallenge, request, call),
    verify: (request, call) => unary(verify, request, call),
    verifyStream: (call) => bidi(verifyStream, call),
    getEpoch: (call) => unary(getEpoch, {}, call),
    close,
  }
}
