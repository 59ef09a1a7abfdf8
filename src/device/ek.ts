import "reflect-metadata"
import "./webcrypto.ts"
import { webcrypto } from "node:crypto"
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509"
import { AssayError } from "../errors.ts"
import type { SoftwareEk } from "./software-ek.ts"

/** An endorsement key with its certificate. */
export interface Endorsement {
  /** TPM2B_PUBLIC of the endorsement key. */
  readonly ekPublic: Uint8Array
  /** EK certificate, DER. */
  readonly certificate: Uint8Array
  /** The test CA's own certificate, DER: the only trust anchor that it leads to. */
  readonly anchor: Uint8Array
}

/** What the certificate's subject alternative name says about the TPM. */
export const EK_SUBJECT = { manufacturer: "id:41535359", model: "software", version: "id:00010000" }

/** id-kp of EK certificates (TCG EK Credential Profile 2.5, 3.2.12). */
const EKU_EK_CERTIFICATE = "2.23.133.8.1"
/** "No expiry" (RFC 5280, 4.1.2.5), which most makers write. */
const NO_EXPIRY = new Date("9999-12-31T23:59:59Z")
const NOT_BEFORE = new Date("2025-01-01T00:00:00Z")
const ECDSA_SHA256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }

/** Whoever certifies endorsement keys of software devices. */
export interface TpmMaker {
  readonly certificate: X509Certificate
  readonly privateKey: webcrypto.CryptoKey
}

let processMaker: Promise<TpmMaker> | undefined

/** The TPM maker of this process's software devices. */
const ownMaker = (): Promise<TpmMaker> => {
  processMaker ??= createTpmMaker()
  return processMaker
}

/** The maker as PEM, private key and certificate: what `readTpmMaker` reads. */
export async function writeTpmMaker({ certificate, privateKey }: TpmMaker): Promise<string> {
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", privateKey)).toString("base64")
  const lines = key.replace(/.{64}(?=.)/g, "$&\n")
  return `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n${certificate.toString("pem")}\n`
}

/** A maker out of its PEM. @throws {AssayError} INPUT if it is not one. */
export async function readTpmMaker(pem: string): Promise<TpmMaker> {
  try {
    const [, body = ""] = /-----BEGIN PRIVATE KEY-----([^-]+)-----END/.exec(pem) ?? []
    const key = Buffer.from(body, "base64")
    const [, certificate = ""] = /(-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----)/.exec(pem) ?? []
    return {
      certificate: new X509Certificate(certificate),
      privateKey: await webcrypto.subtle.importKey("pkcs8", key, ECDSA_SHA256, false, ["sign"]),
    }
  } catch (cause) {
    throw new AssayError(
      "INPUT",
      "not the PEM of a software TPM maker: remove the file to have a new one made",
      {
        cause,
      },
    )
  }
}

/** Makes a maker, with a root certificate that is like those of TPM makers but for its life without an end. */
export async function createTpmMaker(): Promise<TpmMaker> {
  const keys = await webcrypto.subtle.generateKey(ECDSA_SHA256, true, ["sign", "verify"])
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "CN=Assay software TPM maker",
    notBefore: NOT_BEFORE,
    notAfter: NO_EXPIRY,
    signingAlgorithm: ECDSA_SHA256,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate, privateKey: keys.privateKey }
}

/** What of an endorsement key a certificate is made of. */
export interface EndorsableKey {
  readonly keys: Pick<SoftwareEk["keys"], "publicKey" | "spki">
  /** TPM2B_PUBLIC. */
  readonly ekPublic: Uint8Array
}

let issued = 1

/**
 * Certifies an endorsement key by `maker`, or by one that this process makes for itself, in the shape of the TCG EK Credential Profile: empty
 * subject, the TPM's maker, model and version in a critical subject alternative name, EKU 2.23.133.8.1.
 */
export async function endorse({ keys, ekPublic }: EndorsableKey, maker?: TpmMaker): Promise<Endorsement> {
  const { certificate: issuer, privateKey } = maker ?? (await ownMaker())
  const publicKey = new PublicKey(keys.spki)
  const { manufacturer, model, version } = EK_SUBJECT
  const tpm = `2.23.133.2.1=${manufacturer},2.23.133.2.2=${model},2.23.133.2.3=${version}`
  const usage = keys.publicKey.kind === "rsa" ? KeyUsageFlags.keyEncipherment : KeyUsageFlags.keyAgreement
  issued += 1
  const certificate = await X509CertificateGenerator.create({
    serialNumber: issued.toString(16).padStart(4, "0"),
    issuer: issuer.subject,
    notBefore: NOT_BEFORE,
    notAfter: NO_EXPIRY,
    signingAlgorithm: ECDSA_SHA256,
    publicKey,
    signingKey: privateKey,
    extensions: [
      new SubjectAlternativeNameExtension([{ type: "dn", value: tpm }], true),
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(usage, true),
      new ExtendedKeyUsageExtension([EKU_EK_CERTIFICATE]),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await SubjectKeyIdentifierExtension.create(publicKey),
    ],
  })
  return {
    ekPublic,
    certificate: new Uint8Array(certificate.rawData),
    anchor: new Uint8Array(issuer.rawData),
  }
}
