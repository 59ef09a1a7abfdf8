import { lengthPrefixed, utf8 } from "../bytes.ts"
import { AssayError, type ChallengeState } from "../errors.ts"
import { Reader } from "../evidence/reader.ts"
import type { ShownKeys } from "./enroll-keys.ts"
import type { SingleUse } from "./ports.ts"

/**
 * What travels sealed from the first step of an enrollment to the second: all that the first one checked, so that the
 * second speaks of the same keys and of no others, on whichever replica it arrives. Chains travel whole and not by their
 * digest: a device sends them once, and no store has to keep what nobody has proven yet.
 */
export interface Enrollment {
  /** 32 bytes, of the transcript. The enrollment is known again by it. */
  readonly random: Uint8Array
  readonly tenant: string
  /** The caller that began it and alone may complete it. */
  readonly caller: string
  /** The enrollment token that the caller came with, if it came with one. */
  readonly token: string | undefined
  readonly keys: ShownKeys
  /** What the credential was made over, 32 bytes; nothing without a credential. Secret: it leaves Assay encrypted alone. */
  readonly secret: Uint8Array | undefined
  /** What the device calls itself: a label. */
  readonly claimedName: string
  readonly issuedAt: Date
  readonly expiresAt: Date
}

/** An enrollment that was opened, and what became of it so far. */
export interface OpenedEnrollment {
  readonly enrollment: Enrollment
  readonly state: ChallengeState
  /** Counts one more answer. @throws {AssayError} ACTIVATION after TRIES_MAX of them; NONCE_STORE, CLOCK. */
  attempt(): Promise<void>
  /** Spends it: at most one caller succeeds. @throws {AssayError} as `SingleUse.spend`. */
  spend(): Promise<void>
}

/** A device knows its answer: more than one or two are somebody's mistake, or somebody else's guess. */
export const TRIES_MAX = 5

/** Seals an enrollment into what its caller hands back. @throws {AssayError} RNG, NONCE_STORE, CLOCK. */
export const sealEnrollment = (singleUse: SingleUse, enrollment: Enrollment): Promise<Uint8Array> =>
  singleUse.seal({
    purpose: "enroll",
    tenant: enrollment.tenant,
    id: enrollment.random,
    expiresAt: enrollment.expiresAt,
    content: encode(enrollment),
  })

/**
 * Opens an enrollment, without a write.
 *
 * @throws {AssayError} NONCE_UNKNOWN, NONCE_EXPIRED, NONCE_SPENT; NONCE_STORE, CLOCK.
 */
export const openEnrollment = async (
  singleUse: SingleUse,
  sealed: Uint8Array,
  at: Date,
): Promise<OpenedEnrollment> => {
  const value = await singleUse.open("enroll", sealed, at)
  let state: ChallengeState = "unspent"
  return {
    enrollment: {
      ...decode(value.content),
      random: value.id,
      tenant: value.tenant,
      expiresAt: value.expiresAt,
    },
    get state() {
      return state
    },
    attempt: async () => {
      if ((await singleUse.attempt(value, at)) <= TRIES_MAX) return
      state = "spent"
      throw new AssayError("ACTIVATION", "the enrollment was answered too often: begin it again", {
        location: "activation",
        expected: `at most ${TRIES_MAX} answers`,
      })
    },
    spend: async () => {
      try {
        await singleUse.spend(value, at)
      } catch (error) {
        // Only a full store leaves it unspent for certain; an answer that was lost may have spent it.
        if (!(error instanceof AssayError && error.code === "CHALLENGES_FULL")) state = "spent"
        throw error
      }
      state = "spent"
    },
  }
}

/**
 * Shape, big-endian, each part with a u32 size before it: caller, token, public area of the attestation key, qualified
 * name, public area of the endorsement key, secret, claimed name, issue in ms since 1970 as text; then the two chains, each
 * a part with parts of its own. What there is not is empty, for none of them is ever empty.
 */
const encode = ({ keys, ...enrollment }: Enrollment): Uint8Array =>
  lengthPrefixed(
    utf8(enrollment.caller),
    utf8(enrollment.token ?? ""),
    keys.akPublic,
    keys.qualifiedName ?? NOTHING,
    keys.ekPublic ?? NOTHING,
    enrollment.secret ?? NOTHING,
    utf8(enrollment.claimedName),
    utf8(String(enrollment.issuedAt.getTime())),
    lengthPrefixed(...keys.ekCertificateChain),
    lengthPrefixed(...keys.akCertificateChain),
  )

const NOTHING = new Uint8Array()
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** What was sealed is ours: nobody else's bytes come here. */
const decode = (content: Uint8Array): Omit<Enrollment, "random" | "tenant" | "expiresAt"> => {
  const r = new Reader(content, "enrollment")
  const bytes = (field: string): Uint8Array => r.sized32(field, content.length)
  const present = (field: string): Uint8Array | undefined => {
    const read = bytes(field)
    return read.length === 0 ? undefined : read
  }
  const text = (field: string): string => decoder.decode(bytes(field))
  const caller = text("caller")
  const token = text("token")
  const [akPublic, qualifiedName] = [bytes("akPublic"), present("qualifiedName")]
  const [ekPublic, secret] = [present("ekPublic"), present("secret")]
  const claimedName = text("claimedName")
  const issuedAt = new Date(Number(text("issuedAt")))
  const ekCertificateChain = readChain(bytes("ekCertificateChain"))
  const akCertificateChain = readChain(bytes("akCertificateChain"))
  r.end()
  return {
    caller,
    token: token === "" ? undefined : token,
    keys: { akPublic, qualifiedName, ekPublic, ekCertificateChain, akCertificateChain },
    secret,
    claimedName,
    issuedAt,
  }
}

const readChain = (parts: Uint8Array): readonly Uint8Array[] => {
  const r = new Reader(parts, "enrollment.chain")
  const chain: Uint8Array[] = []
  while (r.remaining > 0) chain.push(r.sized32("certificate", parts.length))
  return chain
}
