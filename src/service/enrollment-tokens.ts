/** Tokens that let devices enroll by themselves: for one tenant, as often and as long as their maker said. */
import { hash } from "node:crypto"
import { toBase64Url, toHex, utf8 } from "../bytes.ts"
import { actOf } from "./act.ts"
import { askedDigest, labelParts } from "./asked.ts"
import { cursorOf, pageTokenOf } from "./page-token.ts"
import type { Caller, EnrollmentTokenRecord, Ports } from "./ports.ts"

/** What a token is to let in. */
export interface CreateEnrollmentTokenInput {
  readonly usesMax: number
  readonly lifetimeMs: number
  /** What its devices are put into; empty for none. */
  readonly group: string
  readonly labels: ReadonlyMap<string, string>
}

/** A token as it is managed, without the digest of its secret. */
export type EnrollmentTokenView = Omit<EnrollmentTokenRecord, "digest">

/** A new token, this once with its secret. */
export interface CreatedEnrollmentToken {
  readonly token: EnrollmentTokenView
  readonly secret: string
}

/** The use cases of enrollment tokens: of the caller's tenant, and of no other. Each throws REGISTRY. */
export interface EnrollmentTokenUseCases {
  /** @throws {AssayError} RNG; JOURNAL. */
  createEnrollmentToken(input: CreateEnrollmentTokenInput, caller: Caller): Promise<CreatedEnrollmentToken>
  /** In the order of ids. `pageSize` is 1 to 1,000. @throws {AssayError} PAGE_TOKEN. */
  listEnrollmentTokens(
    input: { readonly pageSize: number; readonly pageToken: string },
    caller: Caller,
  ): Promise<{ readonly tokens: readonly EnrollmentTokenView[]; readonly nextPageToken: string }>
  /** @throws {AssayError} ENROLLMENT_TOKEN_NOT_FOUND; JOURNAL. */
  revokeEnrollmentToken(id: string, caller: Caller): Promise<void>
}

const ID_BYTES = 8
const SECRET_BYTES = 32
/** So that a scanner for lost secrets knows one, and a person sees what it is for. */
const SECRET_PREFIX = "aet_"

/**
 * SHA-256 of a secret's UTF-8 bytes: all that is kept of it. A secret of 256 random bits needs no slower hash.
 */
export const enrollmentTokenDigest = (secret: string): Uint8Array => hash("sha256", utf8(secret), "buffer")

/** The use cases over their ports. */
export const createEnrollmentTokenUseCases = (
  ports: Pick<Ports, "clock" | "random" | "devices" | "meter">,
): EnrollmentTokenUseCases => {
  const { random, devices, meter } = ports
  return {
    createEnrollmentToken: async ({ usesMax, lifetimeMs, group, labels }, caller) => {
      const id = `et-${toHex(random.bytes(ID_BYTES))}`
      const secret = `${SECRET_PREFIX}${toBase64Url(random.bytes(SECRET_BYTES))}`
      const asked = askedDigest(id, String(usesMax), String(lifetimeMs), group, ...labelParts(labels))
      const act = actOf(ports, caller, "create-enrollment-token", asked)
      const expiresAt = new Date(act.at.getTime() + lifetimeMs)
      const token = { tenant: caller.tenant, id, usesMax, createdAt: act.at, expiresAt, group, labels }
      await devices.addEnrollmentToken({ ...token, digest: enrollmentTokenDigest(secret) }, act)
      return { token: { ...token, uses: 0, revoked: false }, secret }
    },
    listEnrollmentTokens: async ({ pageSize, pageToken }, caller) => {
      const { tenant } = caller
      const list = ["enrollment-tokens", tenant]
      const after = cursorOf(list, pageToken)?.id ?? ""
      const found = await meter.run(caller, () => devices.enrollmentTokens(tenant, after, pageSize))
      const last = found.at(-1)
      return {
        tokens: found.map(({ digest: _, ...token }) => token),
        nextPageToken: found.length < pageSize || last === undefined ? "" : pageTokenOf(list, last),
      }
    },
    revokeEnrollmentToken: (id, caller) =>
      devices.revokeEnrollmentToken(
        caller.tenant,
        id,
        actOf(ports, caller, "revoke-enrollment-token", askedDigest(id)),
      ),
  }
}
