/** What a relying party imports: the offline check of session tokens, and the clients of AttestationService and EnrollmentService. */

export { AssayError, type Code, type Kind } from "../errors.ts"
export type { Confirmation } from "../evidence/transcript.ts"
export { type JsonWebKeySet, type KeySet, prepareKeySet } from "../jwt/keyset.ts"
export { type AttestationClient, createAttestationClient } from "./attestation.ts"
export type { CallOptions, ConnectionOptions } from "./connection.ts"
export { createEnrollmentClient, type EnrollmentClient } from "./enrollment.ts"
export { type SessionClaims, type SessionTokenOptions, verifySessionToken } from "./session.ts"
export type { BidiCall } from "./streams.ts"
export type { TlsOptions } from "./target.ts"
