import { utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { Clock, Signer } from "../service/ports.ts"
import { type PublicJwk, type SigningKey, signWith, verifiesWith } from "./key.ts"

/** A signer that keeps proving itself. */
export interface WatchedSigner extends Signer {
  /** What `/.well-known/jwks.json` shows. */
  publicJwks(): { readonly keys: readonly PublicJwk[] }
  /** Signs and verifies once, as every second. After a failure the signer stays failed. */
  prove(): void
  /** Why it does not sign; nothing while it does. For readiness. */
  unready(): string | undefined
  /** Ends the proofs; from then on it does not sign. */
  close(): void
}

/** Makes the JWS signature over some bytes: 64 bytes. */
export type RawSign = (input: Uint8Array) => Uint8Array

/** How long a key that went bad may go unnoticed. */
const PROOF_INTERVAL_MS = 1000

/** Its zero byte keeps a proof from ever being the signing input of a token, which is ASCII. */
const PROOF_LABEL = "assay/v1/signer-proof\0"

/**
 * Signs with `key`, and proves at load and every second that what is signed verifies under the published key. After
 * one failed proof, after `notAfter` and after `close` nothing is signed any more.
 *
 * @param rawSign What signs; by default the private key itself.
 * @throws {AssayError} SIGNER if the key does not prove itself at load.
 */
export const createSigner = (
  key: SigningKey,
  clock: Clock,
  rawSign: RawSign = (input) => signWith(key, input),
): WatchedSigner => {
  let failure: string | undefined
  let proofs = 0

  const prove = (): void => {
    try {
      proofs += 1
      const input = utf8(`${PROOF_LABEL}${proofs}`)
      if (!verifiesWith(key, input, rawSign(input))) failure = "its signature does not verify"
    } catch {
      failure = "it cannot sign"
    }
  }
  const unready = (): string | undefined =>
    failure ?? (clock.now().getTime() < key.notAfter.getTime() ? undefined : "it is past its last day")

  prove()
  if (failure !== undefined) throw refusal(failure)
  const timer = setInterval(prove, PROOF_INTERVAL_MS).unref()

  return {
    algorithm: key.algorithm,
    keyId: key.publicJwk.kid,
    notAfter: key.notAfter,
    sign: (input) => {
      const reason = unready()
      if (reason !== undefined) throw refusal(reason)
      try {
        return rawSign(input)
      } catch (cause) {
        failure = "it cannot sign"
        throw refusal(failure, cause)
      }
    },
    publicJwks: () => ({ keys: [key.publicJwk] }),
    prove,
    unready,
    close: () => {
      clearInterval(timer)
      failure ??= "it is closed"
    },
  }
}

const refusal = (reason: string, cause?: unknown): AssayError =>
  new AssayError("SIGNER", `the signing key issues nothing: ${reason}`, { cause })
