import { toHex } from "../bytes.ts"
import { CHECKPOINT_TYPE, type Checkpoint } from "../verification/journal/checkpoint.ts"
import { encodeJws, type TokenSigner } from "./token.ts"

/**
 * Writes a checkpoint of the journal as a signed statement: `iss`, `iat`, `tenant`, `writer`, `sequence`, `head` and
 * `previous` (SHA-256 in lowercase hexadecimal; the first of a chain has no `previous`), `count`. It never expires: what
 * it says of that instant stays true. `verification/journal/checkpoint.ts` reads it.
 *
 * @throws {AssayError} SIGNER.
 */
export const encodeCheckpoint = (checkpoint: Checkpoint, signer: TokenSigner): string => {
  const { chain, head, previous, count, issuer, issuedAt } = checkpoint
  const claims = {
    iss: issuer,
    iat: issuedAt,
    tenant: chain.tenant,
    writer: chain.writer,
    sequence: head.sequence,
    head: toHex(head.hash),
    ...(previous && { previous: toHex(previous) }),
    count,
  }
  return encodeJws(CHECKPOINT_TYPE, claims, signer)
}
