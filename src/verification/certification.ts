/**
 * The checks of one certification: the attestation key's word (TPM2_Certify) that a key lives in its TPM, and a request
 * for a certificate of that key. In the order in which they may be believed, and up to the first failure.
 *
 * What makes it fresh is not in here: the quote is, and its transcript names the key. So nothing rests on extraData of the
 * certification, which tpm2_certify fills with a constant (00ff55aa), and any is taken. A key that is fixed to its TPM and
 * parent never leaves it, so that an old certification stays true of where the key is; but not of whether it is still there.
 * Therefore the certification is of the boot that was quoted: after TPM2_Clear, or a reset that a key does not survive,
 * nobody gets a certificate for it by what was signed before. Within a boot, when it was made makes no difference.
 */
import type { KeyObject } from "node:crypto"
import { sameBytes, toHex } from "../bytes.ts"
import { AssayError, inField } from "../errors.ts"
import type { Certification } from "../evidence/certification.ts"
import { algorithmId } from "../evidence/tpm/algorithm.ts"
import type { Attest } from "../evidence/tpm/attest.ts"
import { type AttributeName, hasAttribute, type PublicArea } from "../evidence/tpm/public.ts"
import type { CertificateRequest } from "../evidence/x509/certificate-request.ts"
import { type Name, nameText } from "../evidence/x509/name.ts"
import { isSignedWith } from "./certificate-key.ts"
import { type AttestationKey, createKeyObject } from "./key.ts"
import { checkQualifiedSigner, checkScheme, checkSignature, type Quote } from "./quote.ts"
import { type Verified, vouch } from "./verified.ts"

/** A key that the device's TPM made and holds, and that its holder asked a certificate for. */
export interface CertifiedKey {
  readonly name: Uint8Array
  /** SubjectPublicKeyInfo, DER: an uncompressed point on a named curve, or rsaEncryption with NULL. */
  readonly spki: Uint8Array
}

/** What the certification has to agree with. */
export interface CertificationContext {
  /** The device's quote, over a transcript that has `keyName` in it. */
  readonly quote: Verified<Quote>
  /** Name of the key that the challenge was made for. */
  readonly keyName: Uint8Array
  /** The device's id: the one name that the request may ask for. */
  readonly device: string
}

/**
 * Proves that the key that the challenge names was made by the TPM that quoted, cannot leave it, and is asked a certificate
 * for by whoever can use it.
 *
 * @throws {AssayError} SIG_ALG, SIGNATURE, ATTEST_TYPE, QUALIFIED_SIGNER, KEY_CERTIFICATION, KEY_NAME, KEY_ATTRIBUTES; WEAK_KEY, ROCA,
 *   WEAK_ALG; CSR_KEY, CSR_SIGNATURE, CSR_REQUEST.
 * @see TPM 2.0 Library, Part 3: Commands, 18.2; TCG TPM 2.0 Keys for Device Identity and Attestation, 5.5; RFC 2986.
 */
export function verifyCertification(
  shown: Certification,
  ak: Verified<AttestationKey>,
  { quote, keyName, device }: CertificationContext,
): Verified<CertifiedKey> {
  inField("certification.signature", () => {
    checkScheme(shown.signature, ak)
    checkSignature(shown, ak)
  })
  inField("certification.attest", () => {
    const { objectName } = checkCertify(shown.attest)
    checkQualifiedSigner(shown.attest, quote.qualifiedSigner)
    checkBoot(shown.attest, quote)
    checkName(objectName, shown.area, "the certified key is another one")
  })
  checkName(keyName, shown.area, "the challenge was made for another key", "confirmation.key_name")
  const key = keyOf(shown.area)
  const spki = new Uint8Array(key.export({ type: "spki", format: "der" }))
  inField("certification.csr", () => checkRequest(shown.csr, key, spki, device))
  return vouch({ name: shown.area.name, spki })
}

/** What was attested is a key. @throws {AssayError} ATTEST_TYPE. */
function checkCertify({ attested }: Attest): Extract<Attest["attested"], { kind: "certify" }> {
  if (attested.kind === "certify") return attested
  throw new AssayError("ATTEST_TYPE", "the attestation key signed something else than a certification", {
    expected: "certify",
    actual: attested.kind === "other" ? algorithmId(attested.type) : attested.kind,
  })
}

/** Both were signed between the same two starts of the TPM. Counters that carry a constant carry the same one in both. */
function checkBoot({ clockInfo }: Attest, quote: Quote): void {
  const { resetCount, restartCount } = quote.clockInfo
  if (clockInfo.resetCount !== resetCount || clockInfo.restartCount !== restartCount)
    throw new AssayError("KEY_CERTIFICATION", "the key was certified in another boot than the quoted one", {
      expected: `reset ${resetCount}, restart ${restartCount}`,
      actual: `reset ${clockInfo.resetCount}, restart ${clockInfo.restartCount}`,
    })
}

function checkName(name: Uint8Array, area: PublicArea, message: string, location?: string): void {
  if (!sameBytes(name, area.name))
    throw new AssayError("KEY_NAME", message, {
      ...(location !== undefined && { location }),
      expected: toHex(area.name),
      actual: toHex(name),
    })
}

/** What keeps a key in its TPM, and makes it one to sign with what TLS signs. */
const ATTRIBUTES_REQUIRED: readonly AttributeName[] = [
  "fixedTPM",
  "fixedParent",
  "sensitiveDataOrigin",
  "sign",
]
/** A restricted key signs nothing that is not the TPM's own, and one with x509sign nothing but certificates. */
const ATTRIBUTES_FORBIDDEN: readonly AttributeName[] = [
  "restricted",
  "decrypt",
  "x509sign",
  "encryptedDuplication",
]

/**
 * The key of a public area, if it is one that a TPM made for signing and keeps, strong enough to be believed.
 *
 * @throws {AssayError} KEY_ATTRIBUTES; SIG_ALG for a SHA-1 Name, and for a scheme that is not the key's or of SHA-1; as `createKeyObject`.
 */
function keyOf(area: PublicArea): KeyObject {
  return inField("certification.key_public", () => {
    for (const name of ATTRIBUTES_REQUIRED)
      if (!hasAttribute(area, name)) throw attributeError(name, "set", "clear")
    for (const name of ATTRIBUTES_FORBIDDEN)
      if (hasAttribute(area, name)) throw attributeError(name, "clear", "set")
    if (area.nameAlg === "sha1") throw algorithmError("nameAlg", "sha256 or stronger", "sha1")
    const { scheme, key } = area
    switch (scheme.kind) {
      case "null":
        break // it signs by any, and the request says by which
      case "unsupported":
        throw algorithmError("scheme", "RSASSA, RSAPSS, ECDSA or none", algorithmId(scheme.scheme))
      case "rsassa":
      case "rsapss":
      case "ecdsa":
        if (scheme.hash === "sha1") throw algorithmError("scheme.hashAlg", "sha256 or stronger", "sha1")
        if ((scheme.kind === "ecdsa") !== (key.kind === "ecc"))
          throw algorithmError("scheme", `a scheme of ${key.kind} keys`, scheme.kind)
    }
    return createKeyObject(key)
  })
}

const attributeError = (name: AttributeName, expected: string, actual: string): AssayError =>
  new AssayError("KEY_ATTRIBUTES", `no key that a TPM keeps for TLS: ${name} is ${actual}`, {
    expected: `${name} ${expected}`,
    actual,
  })

const algorithmError = (field: string, expected: string, actual: string): AssayError =>
  new AssayError("SIG_ALG", `the key's ${field} is not one that Assay accepts`, { expected, actual })

/**
 * The request is for this key, in its one usual encoding, by whoever can use it, and for nothing that is not the device's
 * to choose. A name of another device, an alternative name, a purpose: whoever asks for one is not given a certificate
 * without it, but none.
 *
 * @throws {AssayError} CSR_KEY, CSR_SIGNATURE, CSR_REQUEST; SIG_ALG, WEAK_ALG.
 */
function checkRequest(csr: CertificateRequest, key: KeyObject, spki: Uint8Array, device: string): void {
  if (!sameBytes(csr.spki, spki))
    throw new AssayError("CSR_KEY", "the request is for another key than the certified one", {
      expected: "the certified key's SubjectPublicKeyInfo",
      actual: "another one",
    })
  if (!isSignedWith(csr, key))
    throw new AssayError("CSR_SIGNATURE", "the certified key did not sign the request", {
      expected: "a signature by the key",
      actual: "none",
    })
  if (!isNobodyOr(csr.subject, device))
    throw new AssayError("CSR_REQUEST", "the request asks for a name that is not the device's", {
      expected: `no subject, or CN=${device}`,
      actual: nameText(csr.subject),
    })
  const [attribute] = csr.attributes
  if (attribute !== undefined)
    throw new AssayError("CSR_REQUEST", "the request asks for what Assay decides", {
      expected: "no attributes",
      actual: attribute,
    })
}

const COMMON_NAME = "2.5.4.3"

/** Whether the name is empty, or the device's id and nothing else. */
const isNobodyOr = ({ attributes }: Name, device: string): boolean => {
  const [first, ...more] = attributes
  return first === undefined || (more.length === 0 && first.type === COMMON_NAME && first.text === device)
}
