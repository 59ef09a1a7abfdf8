import { AssayError, inField } from "../errors.ts"
import { parseChain } from "../evidence/evidence.ts"
import { type PublicArea, parseName, parsePublic } from "../evidence/tpm/public.ts"
import type { Certificate } from "../evidence/x509/certificate.ts"
import type { CloudInstance } from "../evidence/x509/gce-instance.ts"
import { type EndorsementKey, verifyEndorsementKey } from "../verification/ek.ts"
import { type AttestationKey, createAttestationKey } from "../verification/key.ts"
import type { Verified } from "../verification/verified.ts"
import { checkNotDenied } from "../verification/weak-key.ts"
import type { Ports, Who } from "./ports.ts"
import type { EndorsementInput } from "./service.ts"
import { checkListed, verifyShown } from "./vouching.ts"

/** The keys that a device comes to enroll with, byte for byte. Nothing in it is proven. */
export interface ShownKeys extends EndorsementInput {
  /** TPMT_PUBLIC or TPM2B_PUBLIC. */
  readonly akPublic: Uint8Array
  /** What qualifiedSigner will be, if the device says so. */
  readonly qualifiedName: Uint8Array | undefined
}

/** Keys that may enroll: genuine by somebody's word whom the tenant trusts. That the device holds them is not proven. */
export interface EligibleKeys {
  readonly ak: Verified<AttestationKey>
  /** With it, an attestation key has to prove that it lives beside it; without it, its certificate says so. */
  readonly ek: Verified<EndorsementKey> | undefined
  /** The machine of a cloud that they are certified to be of, if they are. */
  readonly instance: CloudInstance | undefined
  /** Of the trust that they are genuine by. */
  readonly generation: number
}

type KeyPorts = Pick<Ports, "trust" | "loadTrust" | "denied" | "want" | "meter">

/** Makers' certificates of both keys come to 10 KiB at the most. What is sealed has to have an end. */
const CHAINS_BYTES_MAX = 24 * 1024

/**
 * Checks the keys that a device shows, under its tenant's trust as it is now: the attestation key is one, and either an
 * endorsement key is certified or listed, or the attestation key is certified by itself. Of what is shown, all has to hold.
 *
 * @throws {AssayError} PUBLIC_AREA, FRAMING, LENGTH; AK_ATTRIBUTES, SIG_ALG, WEAK_KEY, ROCA, KEY_DENIED; EK_MISSING; as
 *   `parseChain`, `verifyShown` and `verifyEndorsementKey`; UNTRUSTED_ROOT for an endorsement key that is not listed.
 */
export const checkKeys = async (
  ports: KeyPorts,
  shown: ShownKeys,
  caller: Who,
  at: Date,
): Promise<EligibleKeys> => {
  const { ak, ekArea: area, ...chains } = ports.meter.run(caller, () => parseKeys(shown))
  checkNotDenied(ak.spki, ports.denied, "ak_public")
  const { endorsements, generation } = await wantingCrls(ports, chains, caller, () =>
    verifyShown(ports, caller, { ...chains, ekListed: false }, ak, at),
  )
  const { instance } = endorsements
  if (area === undefined && endorsements.ek === undefined) return { ak, ek: undefined, instance, generation }
  const ek = verifyEndorsementKey({ path: endorsements.ek, area }, ports.denied)
  if (ek.path === undefined) await checkListed(ports, caller.tenant, ek.digest)
  return { ak, ek, instance, generation }
}

interface ParsedKeys {
  readonly ak: Verified<AttestationKey>
  readonly ekArea: PublicArea | undefined
  readonly akChain: readonly Certificate[]
  readonly ekChain: readonly Certificate[]
}

const parseKeys = (shown: ShownKeys): ParsedKeys => {
  checkSize(shown)
  const { qualifiedName } = shown
  if (qualifiedName !== undefined) inField("qualified_name", () => parseName(qualifiedName))
  const keys = {
    ak: createAttestationKey(parsePublic(shown.akPublic)),
    ekArea: shown.ekPublic === undefined ? undefined : parsePublic(shown.ekPublic),
    akChain: parseChain(shown.akCertificateChain, "ak_certificate_chain"),
    ekChain: parseChain(shown.ekCertificateChain, "ek_certificate_chain"),
  }
  if (keys.ekArea !== undefined || keys.akChain.length + keys.ekChain.length > 0) return keys
  throw new AssayError("EK_MISSING", "nothing vouches for the attestation key", {
    location: "ek_certificate_chain",
    expected: "an endorsement key, certified or listed, or a certificate of the attestation key",
    actual: "neither",
  })
}

/**
 * Runs `verify`. If it cannot tell about revocation, what the certificates name is looked after from now on, so that it can
 * be told soon: nobody who is known may have shown this maker's before. It is the caller's share, and takes nobody's place.
 */
const wantingCrls = async <T>(
  { want }: KeyPorts,
  { akChain, ekChain }: Pick<ParsedKeys, "akChain" | "ekChain">,
  { tenant, id }: Who,
  verify: () => Promise<T>,
): Promise<T> => {
  try {
    return await verify()
  } catch (error) {
    if (error instanceof AssayError && error.code === "REVOCATION")
      for (const chain of [akChain, ekChain]) want(tenant, chain, `enrollment by ${id}`)
    throw error
  }
}

const checkSize = ({ ekCertificateChain, akCertificateChain }: ShownKeys): void => {
  const size = [...ekCertificateChain, ...akCertificateChain].reduce((sum, { length }) => sum + length, 0)
  if (size > CHAINS_BYTES_MAX)
    throw new AssayError("LENGTH", "the certificates of the two keys are too long", {
      location: "ek_certificate_chain",
      expected: `at most ${CHAINS_BYTES_MAX} bytes in all`,
      actual: `${size} bytes`,
    })
}
