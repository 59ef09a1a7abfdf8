import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto"
import { toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { type Certificate, parseCertificate } from "../evidence/x509/certificate.ts"
import { KEY_USAGE } from "../evidence/x509/extensions.ts"
import type { Random } from "../service/ports.ts"
import { isSignedBy } from "../verification/certificate-key.ts"
import { isSelfIssued } from "../verification/certificate-policies.ts"

/**
 * Who issues client certificates to devices: a P-256 key with a certificate of its own, which services that verify devices'
 * TLS take for their trust anchor. It issues to devices alone (pathLen 0) and signs nothing but certificates and CRLs.
 */
export interface Authority {
  readonly privateKey: KeyObject
  readonly certificate: Certificate
  /** SPIFFE trust domain: what all names that it issues begin with. */
  readonly trustDomain: string
}

/** A SPIFFE trust domain, in the form of a host name (SPIFFE ID, 2.1, is wider). */
export const TRUST_DOMAIN =
  /^(?=.{1,255}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/

/** Ten years: whoever changes it has to tell every service that trusts it. */
export const AUTHORITY_LIFETIME_MS = 10 * 365 * 86_400_000
/** How much other machines' clocks may be behind ours. */
export const CLOCK_SKEW_MS = 60_000
export const ECDSA_SHA256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }

const SERIAL_BYTES = 16

/** A serial number in hexadecimal: 16 random bytes, positive, and no shorter for a zero at their beginning. */
export const randomSerial = (random: Random): string => {
  const bytes = random.bytes(SERIAL_BYTES).slice()
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return toHex(bytes)
}

/**
 * The certificate library. Loaded where it is used: it costs every other start its time, 0.2 s.
 *
 * The names of WebCrypto types that it expects to be global are declared in `device/webcrypto.ts`.
 */
export const loadX509 = async (): Promise<typeof import("@peculiar/x509")> => {
  await import("reflect-metadata")
  return import("@peculiar/x509")
}

/** A new authority. @throws {AssayError} RNG. */
export async function generateAuthority(
  trustDomain: string,
  createdAt: Date,
  random: Random,
): Promise<Authority> {
  const x509 = await loadX509()
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const keys = {
    privateKey: pair.privateKey.toCryptoKey(ECDSA_SHA256, false, ["sign"]),
    publicKey: pair.publicKey.toCryptoKey(ECDSA_SHA256, true, ["verify"]),
  }
  const { rawData } = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(random),
    name: [{ CN: ["Assay device CA"] }],
    notBefore: new Date(createdAt.getTime() - CLOCK_SKEW_MS),
    notAfter: new Date(createdAt.getTime() + AUTHORITY_LIFETIME_MS),
    signingAlgorithm: ECDSA_SHA256,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.SubjectAlternativeNameExtension([{ type: "url", value: `spiffe://${trustDomain}` }]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return authorityOf(pair.privateKey, new Uint8Array(rawData))
}

/**
 * The authority that a key and its certificate are. The certificate is all that says who it is and until when: it is the
 * key's own, signed by it, so that whoever cannot use the key cannot change it.
 *
 * @throws {AssayError} SIGNER if they do not belong together, or if it is no certificate of such an authority.
 */
export function authorityOf(privateKey: KeyObject, certificateDer: Uint8Array): Authority {
  const certificate = parsed(certificateDer)
  const { extensions, spki } = certificate
  const { type, namedCurve } = { type: privateKey.asymmetricKeyType, ...privateKey.asymmetricKeyDetails }
  if (type !== "ec" || namedCurve !== "prime256v1") throw refusal("its key is not of P-256")
  if (!createPublicKey(privateKey).export({ type: "spki", format: "der" }).equals(spki))
    throw refusal("its certificate is of another key")
  if (!isSelfIssued(certificate) || !isSignedBy(certificate, certificate))
    throw refusal("its certificate is not signed by its key")
  if (
    extensions.basicConstraints?.ca !== true ||
    extensions.basicConstraints.pathLen !== 0 ||
    extensions.keyUsage !== (KEY_USAGE.keyCertSign | KEY_USAGE.cRLSign)
  )
    throw refusal("its certificate is not that of a CA for devices")
  const trustDomain = trustDomainOf(certificate)
  if (trustDomain === undefined) throw refusal("its certificate does not name its trust domain")
  return { privateKey, certificate, trustDomain }
}

const parsed = (der: Uint8Array): Certificate => {
  try {
    return parseCertificate(der, "device CA")
  } catch (cause) {
    throw refusal("its certificate cannot be read", cause)
  }
}

/** The one name of the certificate, `spiffe://` and a trust domain (X509-SVID, 4.2). */
const trustDomainOf = ({ extensions }: Certificate): string | undefined => {
  const [name, ...more] = extensions.subjectAltName ?? []
  if (name?.kind !== "uri" || more.length > 0 || !name.text.startsWith(SCHEME)) return undefined
  const trustDomain = name.text.slice(SCHEME.length)
  return TRUST_DOMAIN.test(trustDomain) ? trustDomain : undefined
}

const SCHEME = "spiffe://"

const refusal = (flaw: string, cause?: unknown): AssayError =>
  new AssayError("SIGNER", `not a device CA: ${flaw}`, { ...(cause !== undefined && { cause }) })
