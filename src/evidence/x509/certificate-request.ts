import { AssayError, retold } from "../../errors.ts"
import { readSignatureAlgorithm, type SignatureAlgorithm } from "./algorithm.ts"
import { DerGate, type Deviation, TAG } from "./der.ts"
import { DerReader } from "./der-reader.ts"
import { type Name, readName } from "./name.ts"

/** The longest request that is read. One for RSA-4096 without attributes has 1,100 bytes. */
export const CSR_BYTES_MAX = 4096

/** What a CertificationRequest says. Nothing of it is proven before `verifyCertification` has looked at it. */
export interface CertificateRequest {
  /** CertificationRequestInfo: what the signature is over. */
  readonly tbs: Uint8Array
  readonly subject: Name
  /** SubjectPublicKeyInfo, DER, as it came. */
  readonly spki: Uint8Array
  /** Object identifiers of the attributes, in their order: what the request asks for beside a certificate. */
  readonly attributes: readonly string[]
  readonly signatureAlgorithm: SignatureAlgorithm
  readonly signature: Uint8Array
}

/**
 * Parses a certification request, strictly: behind the same gate as certificates, and with nothing tolerated.
 *
 * Shape: CertificationRequest of PKCS #10, DER, at most `CSR_BYTES_MAX` bytes; version 0, and the attributes there even if
 * there are none. Values of attributes are not read: whoever lets an attribute pass has to read it. What it returns are
 * views on the input, which must not change afterwards.
 *
 * @throws {AssayError} DER, OID, DEPTH, TRAILING, CSR; LENGTH for one that is too long.
 * @see RFC 2986, 4.
 */
export function parseCertificateRequest(input: Uint8Array, label = "CSR"): CertificateRequest {
  try {
    return readRequest(new Uint8Array(input.buffer, input.byteOffset, input.byteLength), label)
  } catch (error) {
    // Readers that certificates share call what is not as it should be a certificate's fault.
    throw error instanceof AssayError && error.code === "CERTIFICATE" ? retold(error, { code: "CSR" }) : error
  }
}

function readRequest(bytes: Uint8Array, label: string): CertificateRequest {
  const outer = new DerReader(bytes, label)
  if (bytes.length > CSR_BYTES_MAX)
    throw outer.error("LENGTH", undefined, "longer than a request may be", {
      expected: `at most ${CSR_BYTES_MAX} bytes`,
      actual: `${bytes.length} bytes`,
    })
  DerGate.check(bytes, label)
  const request = outer.sequence("certificationRequest")
  const tbsStart = request.offset
  const tbs = request.element("certificationRequestInfo", TAG.sequence)
  const tbsEnd = request.offset
  const algorithm = request.sequence("signatureAlgorithm")
  const deviations = new Set<Deviation>()
  const signatureAlgorithm = readSignatureAlgorithm(algorithm, deviations)
  const [deviation] = deviations
  if (deviation !== undefined) throw algorithm.error("CSR", "parameters", "not as the standard has it")
  const signature = request.bits("signature")
  request.end("TRAILING")

  const r = new DerReader(bytes, `${label}.certificationRequestInfo`, tbsStart, tbsEnd).sequence("fields")
  r.smallInteger("version", 0)
  const subject = readName(r, "subject")
  const spki = r.element("subjectPublicKeyInfo", TAG.sequence)
  const attributes = r.constructed(0xa0, "attributes").all((one) => {
    const attribute = one.sequence("attribute")
    const type = attribute.oid("type")
    attribute.set("values")
    attribute.end()
    return type
  })
  r.end("TRAILING")
  return { tbs, subject, spki, attributes, signatureAlgorithm, signature }
}
