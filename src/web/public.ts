import type { Hono } from "hono"
import { toBase64Url } from "../bytes.ts"
import type { Epoch } from "../service/ports.ts"
import type { Bucket, Rate } from "./admission.ts"
import { createApp, json } from "./app.ts"
import { kept } from "./kept.ts"

/** What the public pages show. Each function but `epoch` is called for each request. */
export interface PublicPages {
  /** `iss` of every token: an http or https URL without query and fragment, under which relying parties find these pages. */
  readonly issuer: () => string
  /** The published keys, as a JWK Set. */
  readonly jwks: () => { readonly keys: readonly { readonly alg: string }[] }
  /** Certificate of the authority that issues client certificates to devices, PEM. */
  readonly deviceCa: () => string
  /** The current epoch, and the same in a signed token. */
  readonly epoch: () => PublishedEpoch | Promise<PublishedEpoch>
  /** Makes what counts how often a page is made. */
  readonly bucketOf: (rate: Rate) => Bucket
}

/** An epoch with the token (typ `assay-epoch+jwt`) that proves it. */
export interface PublishedEpoch extends Epoch {
  readonly token: string
}

/** How long a key may go on being used, or go unknown, after the set has changed. */
const KEYS_AGE_SECONDS_MAX = 300
/** Each is signed. */
const EPOCH_RATE: Rate = { perSecond: 10, burst: 20 }
const DISCOVERY_AGE_SECONDS_MAX = 3600

/**
 * The pages that anyone may read:
 *
 * - `/.well-known/jwks.json`: the keys (RFC 7517);
 * - `/.well-known/openid-configuration`: what OpenID Connect libraries need to trust a token issuer, and no more, since
 *   nobody logs in here (OpenID Connect Discovery 1.0, section 3);
 * - `/.well-known/assay/device-ca.pem`: whom services trust that verify devices' TLS, PEM;
 * - `/epoch`: `{ number, value, start, end, token }`, the value in base64url, the bounds in ISO 8601.
 *   When many ask, it is one of at most a tenth of a second ago.
 */
export const createPublicApp = ({ issuer, jwks, deviceCa, epoch, bucketOf }: PublicPages): Hono => {
  const current = kept(epoch, bucketOf(EPOCH_RATE))
  return createApp({
    "/.well-known/jwks.json": () => {
      const response = json(jwks(), `public, max-age=${KEYS_AGE_SECONDS_MAX}`)
      response.headers.set("Content-Type", "application/jwk-set+json")
      return response
    },
    "/.well-known/openid-configuration": () =>
      json(
        {
          issuer: issuer(),
          jwks_uri: `${issuer().replace(/\/$/, "")}/.well-known/jwks.json`,
          response_types_supported: ["id_token"],
          subject_types_supported: ["public"],
          id_token_signing_alg_values_supported: [...new Set(jwks().keys.map(({ alg }) => alg))],
        },
        `public, max-age=${DISCOVERY_AGE_SECONDS_MAX}`,
      ),
    "/.well-known/assay/device-ca.pem": () =>
      new Response(deviceCa(), {
        headers: {
          "Content-Type": "application/pem-certificate-chain",
          "Cache-Control": `public, max-age=${DISCOVERY_AGE_SECONDS_MAX}`,
        },
      }),
    "/epoch": async () => {
      const { number, value, startsAt, endsAt, token } = await current()
      const document = {
        number,
        value: toBase64Url(value),
        start: startsAt.toISOString(),
        end: endsAt.toISOString(),
        token,
      }
      // A remembered epoch would be refused as soon as the one after it has begun and ended.
      return json(document, "no-store")
    },
  })
}
