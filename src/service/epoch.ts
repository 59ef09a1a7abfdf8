import { toBase64Url } from "../bytes.ts"
import { encodeToken, seconds } from "../result/token.ts"
import type { Caller, Epoch, Ports } from "./ports.ts"

/**
 * The current epoch of the caller's tenant, and the same as a signed token (typ assay-epoch+jwt) for devices that
 * get it through somebody else.
 *
 * @throws {AssayError} SIGNER, NONCE_STORE, CLOCK, REVISION_UNCONFIRMED.
 */
export const createEpoch =
  ({ clock, random, confirm, epochs, signer, settings }: Ports) =>
  async ({ tenant }: Caller): Promise<{ readonly epoch: Epoch; readonly token: string }> => {
    confirm()
    const at = clock.now()
    const epoch = await epochs.current(tenant, at)
    const claims = {
      iss: settings.issuer,
      sub: `epoch:${epoch.number}`,
      aud: tenant,
      iat: seconds(at),
      nbf: seconds(epoch.startsAt),
      exp: Math.min(seconds(epoch.endsAt), seconds(signer.notAfter)),
      jti: toBase64Url(random.bytes(16)),
      epoch: epoch.number,
      value: toBase64Url(epoch.value),
    }
    return { epoch, token: encodeToken("assay-epoch+jwt", claims, signer) }
  }
