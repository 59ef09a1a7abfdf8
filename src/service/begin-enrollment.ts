import { hash } from "node:crypto"
import { lengthPrefixed, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { EnrollmentTranscript } from "../evidence/transcript.ts"
import { ACTIVATION_SECRET_BYTES, type Credential, makeCredential } from "../verification/credential.ts"
import { checkKeys, type EligibleKeys, type ShownKeys } from "./enroll-keys.ts"
import { checkClaim } from "./instance.ts"
import type { Caller, Ports } from "./ports.ts"
import { sealEnrollment } from "./sealed-enrollment.ts"

/** What a device shows of itself, to be enrolled. */
export interface BeginEnrollmentInput {
  readonly keys: ShownKeys
  /**
   * What it calls itself: a label for people, never a key. Visible ASCII and spaces, at most 255; empty for nothing. Where a
   * certificate says which instance of a cloud it is, that instance's name or id.
   */
  readonly claimedName: string
}

/** A sealed enrollment, and what the device needs to complete it. */
export interface BegunEnrollment {
  readonly sealed: Uint8Array
  /** What only the TPM with both keys opens; nothing where a certificate binds the attestation key. */
  readonly credential: Credential | undefined
  readonly transcript: EnrollmentTranscript
  readonly expiresAt: Date
}

const RANDOM_BYTES = 32

/**
 * Begins to enroll a device: checks the keys that it shows, and makes what only the TPM that holds both can open. No device
 * is made, and nothing is told of which there are: whoever asks has proven nothing yet.
 *
 * @throws {AssayError} PERMISSION for a device that is enrolled; as `checkKeys` and `checkClaim`; ENROLLMENT_LIMIT, CHALLENGES_FULL; RNG,
 *   NONCE_STORE, CLOCK, REVISION_UNCONFIRMED.
 */
export const createBeginEnrollment =
  (ports: Ports) =>
  async ({ keys, claimedName }: BeginEnrollmentInput, caller: Caller): Promise<BegunEnrollment> => {
    ports.confirm()
    const { tenant } = caller
    const issuedAt = ports.clock.now()
    const token = enrollmentTokenOf(caller)
    const eligible = await checkKeys(ports, keys, caller, issuedAt)
    checkClaim(claimedName, eligible.instance)
    await countBeginning(ports.singleUse, eligible, caller, issuedAt)
    const random = ports.random.bytes(RANDOM_BYTES)
    const { credential, secret } = ports.meter.run(caller, () => credentialFor(eligible, ports))
    const expiresAt = new Date(issuedAt.getTime() + ports.settings.enrollment.lifetimeMs)
    const sealed = await sealEnrollment(ports.singleUse, {
      random,
      tenant,
      caller: caller.id,
      token,
      keys,
      secret,
      claimedName,
      issuedAt,
      expiresAt,
    })
    return { sealed, credential, transcript: transcriptOf(random, tenant, eligible), expiresAt }
  }

/** The enrollment token that a caller came with, if it came with one. @throws {AssayError} PERMISSION. */
export const enrollmentTokenOf = ({ own }: Caller): string | undefined => {
  if (own?.kind === "device")
    throw new AssayError("PERMISSION", "a device that is enrolled enrolls nobody", {
      location: "caller",
      expected: "a gateway, or an enrollment token",
      actual: "a device",
    })
  return own?.token
}

/** What an enrollment with these keys is about. */
export const transcriptOf = (
  random: Uint8Array,
  tenant: string,
  { ak, ek }: EligibleKeys,
): EnrollmentTranscript => ({
  random,
  tenant,
  ekDigest: ek?.digest ?? new Uint8Array(),
  akName: ak.area.name,
})

const credentialFor = ({ ek, ak }: EligibleKeys, { random }: Pick<Ports, "random">) => {
  if (ek === undefined) return { credential: undefined, secret: undefined }
  const secret = random.bytes(ACTIVATION_SECRET_BYTES)
  return { credential: makeCredential(ek, ak, secret, (size) => random.bytes(size)), secret }
}

/** A device needs one. The rest is for networks and people that are slow. */
const BEGINNINGS_MAX = 10
const WINDOW_MS = 300_000

/**
 * Counts how often one key begins to enroll, on all replicas: nobody whom nobody knows may ask for anything dearer. Only
 * genuine keys are counted, so that invented ones fill no store; and for each caller apart, for certificates are public:
 * who shows another's uses up his own turns.
 *
 * @throws {AssayError} ENROLLMENT_LIMIT, CHALLENGES_FULL; NONCE_STORE, CLOCK.
 */
const countBeginning = async (
  singleUse: Ports["singleUse"],
  { ak, ek }: EligibleKeys,
  { tenant, id }: Caller,
  at: Date,
): Promise<void> => {
  const end = (Math.floor(at.getTime() / WINDOW_MS) + 1) * WINDOW_MS
  const parts = lengthPrefixed(utf8("assay/v1/beginning"), utf8(id), ek?.digest ?? ak.area.name)
  const counted = hash("sha256", parts, "buffer")
  if ((await singleUse.count(tenant, counted, new Date(end), at)) <= BEGINNINGS_MAX) return
  throw new AssayError("ENROLLMENT_LIMIT", "this key has begun to enroll too often: try again later", {
    location: "ek_certificate_chain",
    expected: `at most ${BEGINNINGS_MAX} times in ${WINDOW_MS / 60_000} minutes`,
  })
}
