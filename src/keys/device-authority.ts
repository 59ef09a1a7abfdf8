import { sameBytes } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { parseCertificate } from "../evidence/x509/certificate.ts"
import type { DeviceAuthority, NewDeviceCertificate, Random } from "../service/ports.ts"
import { verifyChain } from "../verification/chain.ts"
import { createTrust, type Trust } from "../verification/trust.ts"
import { type Authority, CLOCK_SKEW_MS, ECDSA_SHA256, loadX509, randomSerial } from "./authority.ts"

/** An hour: a certificate that lives longer needs somebody to revoke it. */
export const DEVICE_CERTIFICATE_MS_MAX = 3_600_000

/** How an authority issues. */
export interface DeviceAuthorityOptions {
  readonly random: Random
  /** How long a certificate is valid at most, in milliseconds. At most an hour, which is the default. */
  readonly lifetimeMs?: number
}

/** What tenants and devices are named by: every character is one of a SPIFFE path, and no name is `.` or `..`. */
const SEGMENT = /^[a-z0-9][a-z0-9._-]{0,62}$/

/** `spiffe://<trust domain>/tenant/<tenant>/device/<id>`: the one name that others know a device by. */
export const deviceUri = (trustDomain: string, { tenant, device }: DeviceNames): string => {
  if (!SEGMENT.test(tenant) || !SEGMENT.test(device))
    throw new AssayError("SIGNER", "a device's id or tenant does not fit into a certificate", {
      actual: `${tenant}/${device}`,
    })
  return `spiffe://${trustDomain}/tenant/${tenant}/device/${device}`
}

/** The device that `deviceUri` names so, if it is one: any other spelling is nobody's. */
export const deviceOfUri = (trustDomain: string, uri: string): DeviceNames | undefined => {
  const [, tenant = "", device = ""] = /^spiffe:\/\/[^/]+\/tenant\/([^/]+)\/device\/([^/]+)$/.exec(uri) ?? []
  const isOurs = SEGMENT.test(tenant) && SEGMENT.test(device)
  return isOurs && uri === deviceUri(trustDomain, { tenant, device }) ? { tenant, device } : undefined
}

type DeviceNames = Pick<NewDeviceCertificate, "tenant" | "device">

/**
 * Issues client certificates to devices, in the profile of X509-SVIDs: the device's id as common name, its SPIFFE id as the
 * one alternative name, for TLS clients and for signing alone. Of the request only the key is taken.
 *
 * Each certificate is verified before it is let out, by the same code that judges everybody else's: one that does not lead
 * to this authority, or is not what was asked for, never leaves.
 *
 * @see SPIFFE X509-SVID, 3 to 5; RFC 5280, 4.2.
 */
export const createDeviceAuthority = (
  authority: Authority,
  { random, lifetimeMs = DEVICE_CERTIFICATE_MS_MAX }: DeviceAuthorityOptions,
): DeviceAuthority => {
  const { certificate: issuer, trustDomain } = authority
  const trust = trustIn(authority)
  const lifetime = Math.min(lifetimeMs, DEVICE_CERTIFICATE_MS_MAX)
  let loading: Promise<Writer> | undefined
  return {
    issue: async (wanted) => {
      const at = wanted.at.getTime()
      const fields = {
        serialNumber: randomSerial(random),
        subject: [{ CN: [wanted.device] }],
        notBefore: new Date(Math.max(at - CLOCK_SKEW_MS, issuer.notBefore)),
        notAfter: new Date(Math.min(wanted.notAfter.getTime(), at + lifetime, issuer.notAfter)),
      }
      const uri = deviceUri(trustDomain, wanted)
      loading ??= writerFor(authority)
      const write = await loading
      const leaf = await write(fields, wanted.spki, uri).catch((cause: unknown) => {
        throw refusal("it cannot sign", cause)
      })
      checkIssued(leaf, trust, wanted, uri)
      return { chain: [leaf, issuer.bytes], notAfter: fields.notAfter }
    },
  }
}

/** What differs from one certificate to the next, beside the key and the name. */
interface Fields {
  readonly serialNumber: string
  readonly subject: { CN: string[] }[]
  readonly notBefore: Date
  readonly notAfter: Date
}

/** Writes and signs a certificate, DER. */
type Writer = (fields: Fields, spki: Uint8Array, uri: string) => Promise<Uint8Array>

const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"

/** Loads the library, and makes once what stands in every certificate alike. */
const writerFor = async ({ certificate, privateKey }: Authority): Promise<Writer> => {
  const x509 = await loadX509()
  const issuer = new x509.X509Certificate(certificate.bytes).subjectName
  const issuerKeyId = await x509.AuthorityKeyIdentifierExtension.create(new x509.PublicKey(certificate.spki))
  const signingKey = privateKey.toCryptoKey(ECDSA_SHA256, false, ["sign"])
  return async (fields, spki, uri) => {
    const publicKey = new x509.PublicKey(spki)
    const { rawData } = await x509.X509CertificateGenerator.create({
      ...fields,
      issuer,
      signingAlgorithm: ECDSA_SHA256,
      publicKey,
      signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([CLIENT_AUTH]),
        new x509.SubjectAlternativeNameExtension([{ type: "url", value: uri }]),
        issuerKeyId,
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
      ],
    })
    return new Uint8Array(rawData)
  }
}

/** Trust in this authority, and in nobody else. */
const trustIn = ({ certificate }: Authority): Trust =>
  createTrust({
    anchors: [{ certificate, purpose: "any", revocation: "off" }],
    intermediates: [],
    crls: [],
    denied: { size: 0, find: () => undefined },
  })

/** What was issued leads to the authority, now, and is of this key and for this name alone. @throws {AssayError} SIGNER. */
const checkIssued = (
  der: Uint8Array,
  trust: Trust,
  { at, spki }: NewDeviceCertificate,
  uri: string,
): void => {
  try {
    const leaf = parseCertificate(der, "device certificate")
    verifyChain(leaf, [], trust, { purpose: "any", at })
    const [name, ...more] = leaf.extensions.subjectAltName ?? []
    if (sameBytes(leaf.spki, spki) && name?.kind === "uri" && name.text === uri && more.length === 0) return
  } catch (cause) {
    throw refusal("the certificate that it issued does not verify", cause)
  }
  throw refusal("it issued another certificate than was asked for")
}

const refusal = (reason: string, cause?: unknown): AssayError =>
  new AssayError("SIGNER", `the device CA issues nothing: ${reason}`, {
    ...(cause !== undefined && { cause }),
  })
