import { AssayError } from "../errors.ts"
import { Reader } from "../evidence/reader.ts"
import { HASH_NAMES, type HashName } from "../evidence/tpm/algorithm.ts"
import type { SchemeName, Signature } from "../evidence/tpm/signature.ts"

/** What a signature without a TPMT_SIGNATURE around it does not say by itself. */
export interface SignatureScheme {
  readonly kind: SchemeName
  readonly hash: HashName
}

const SCHEMES: readonly SchemeName[] = ["rsassa", "rsapss", "ecdsa"]

/** Reads `rsassa:sha256` and its like. @throws {AssayError} INPUT. */
export function parseSignatureScheme(text: string): SignatureScheme {
  const [first, second, ...rest] = text.split(":")
  const kind = SCHEMES.find((name) => name === first)
  const hash = HASH_NAMES.find((name) => name === second)
  if (kind === undefined || hash === undefined || rest.length > 0)
    throw new AssayError("INPUT", "this is no signature scheme that Assay verifies", {
      location: "signature scheme",
      expected: "rsassa, rsapss or ecdsa, a colon, and sha256, sha384, sha512 or sha1",
      actual: text,
    })
  return { kind, hash }
}

/** r and s over P-256, P-384 and P-521. */
const PAIR_BYTES = [64, 96, 132]
/** RSA with 8192 bits. */
const SIGNATURE_BYTES_MAX = 1024

/**
 * Reads the bare value of a signature: of RSA the number itself, of ECDSA either the DER form or r and s, each of
 * the size of its curve (IEEE P1363).
 *
 * @throws {AssayError} LENGTH.
 */
export function parseRawSignature(bytes: Uint8Array, { kind, hash }: SignatureScheme): Signature {
  if (bytes.length === 0 || bytes.length > SIGNATURE_BYTES_MAX)
    throw lengthError(`1 to ${SIGNATURE_BYTES_MAX} bytes`, bytes)
  if (kind !== "ecdsa") return { kind, hash, value: bytes }
  const der = readDer(bytes)
  if (der !== undefined) return { kind, hash, ...der }
  if (!PAIR_BYTES.includes(bytes.length)) throw lengthError("DER, or r and s of a curve's size each", bytes)
  const half = bytes.length / 2
  return { kind, hash, r: bytes.subarray(0, half), s: bytes.subarray(half) }
}

/** ECDSA-Sig-Value (RFC 3279, 2.2.3), if `bytes` are exactly one. */
function readDer(bytes: Uint8Array): { readonly r: Uint8Array; readonly s: Uint8Array } | undefined {
  try {
    const r = new Reader(bytes, "ECDSA-Sig-Value")
    if (r.u8("tag") !== 0x30) return undefined
    const short = r.u8("length")
    // Over 127 bytes, which only P-521 needs, the length takes a byte of its own.
    const length = short === 0x81 ? r.u8("length") : short
    if (length !== r.remaining || (short === 0x81) !== length > 0x7f) return undefined
    const pair = { r: readInteger(r), s: readInteger(r) }
    r.end()
    return pair
  } catch {
    return undefined
  }
}

function readInteger(r: Reader): Uint8Array {
  if (r.u8("integer.tag") !== 0x02) throw r.error("FRAMING", "integer", "not an INTEGER")
  const content = r.take("integer", r.u8("integer.length"))
  return content.length > 1 && content[0] === 0 ? content.subarray(1) : content
}

const lengthError = (expected: string, bytes: Uint8Array): AssayError =>
  new AssayError("LENGTH", "not as long as a signature of this scheme", {
    location: "signature",
    expected,
    actual: `${bytes.length} bytes`,
  })
