import { hash, type KeyObject } from "node:crypto"
import { toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { algorithmId } from "../evidence/tpm/algorithm.ts"
import type { PublicArea } from "../evidence/tpm/public.ts"
import type { Signature } from "../evidence/tpm/signature.ts"
import { type AttestationKey, createAttestationKey, createKeyObject } from "../verification/key.ts"
import { checkScheme } from "../verification/quote.ts"
import { verifySignature } from "../verification/signature.ts"
import type { KeyFile } from "./key-file.ts"

/** What a signature is checked with, whether or not the key may sign quotes. */
export interface Signer {
  readonly keyObject: KeyObject
  /** Of a key with a public area that names a scheme: the scheme is the key's to say, and no signature's. */
  readonly ak: AttestationKey | undefined
}

/** A key, looked at. */
export interface ExaminedKey {
  /** Nothing for a key that is too weak to check anything with. */
  readonly signer: Signer | undefined
  /** Why the key may not sign quotes. */
  readonly flaw: AssayError | undefined
}

/** Looks at a key. One that is unfit to sign quotes can still have signed: that is for other checks to say. */
export const examineKey = (file: KeyFile): ExaminedKey => {
  if (file.kind === "bare") {
    const [keyObject, flaw] = attempt(() => createKeyObject(file.key))
    return { signer: keyObject && { keyObject, ak: undefined }, flaw }
  }
  const [ak, flaw] = attempt(() => createAttestationKey(file.area))
  return { signer: ak === undefined ? unfitSigner(file.area) : { keyObject: ak.keyObject, ak }, flaw }
}

const unfitSigner = (area: PublicArea): Signer | undefined => {
  const { scheme } = area
  const [keyObject] = attempt(() => createKeyObject(area.key))
  if (keyObject === undefined) return undefined
  const hasScheme = scheme.kind !== "null" && scheme.kind !== "unsupported"
  const spki = keyObject.export({ type: "spki", format: "der" })
  const spkiDigest = hash("sha256", spki, "hex")
  return { keyObject, ak: hasScheme ? { area, keyObject, spki, spkiDigest, scheme } : undefined }
}

const attempt = <T>(act: () => T): readonly [value: T | undefined, flaw: AssayError | undefined] => {
  try {
    return [act(), undefined]
  } catch (error) {
    if (error instanceof AssayError) return [undefined, error]
    throw error
  }
}

/**
 * As `checkScheme`; for a key without a scheme of its own, the signature's has to be one for such keys. Never SHA-1.
 *
 * @throws {AssayError} SIG_ALG.
 */
export const checkAnyScheme = (signature: Signature, { keyObject, ak }: Signer): void => {
  if (ak !== undefined) checkScheme(signature, ak)
  const isEcc = keyObject.asymmetricKeyType === "ec"
  if (signature.kind === "unsupported")
    throw schemeError(
      "rsassa, rsapss or ecdsa with a hash of the SHA-2 family",
      algorithmId(signature.sigAlg),
    )
  if ((signature.kind === "ecdsa") !== isEcc)
    throw schemeError(
      isEcc ? "ecdsa, for the key is ECC" : "rsassa or rsapss, for the key is RSA",
      signature.kind,
    )
  if (signature.hash === "sha1") throw schemeError("sha256, sha384 or sha512", signature.hash)
}

const schemeError = (expected: string, actual: string): AssayError =>
  new AssayError("SIG_ALG", "the signature is not of a scheme that Assay accepts", {
    location: "TPMT_SIGNATURE",
    expected,
    actual,
  })

/** The key signed exactly these bytes. @throws {AssayError} SIGNATURE. */
export const checkValue = (signature: Signature, { keyObject, ak }: Signer, attest: Uint8Array): void => {
  if (!verifySignature(keyObject, signature, attest))
    throw new AssayError("SIGNATURE", "the key did not sign these bytes", {
      location: "TPMT_SIGNATURE",
      expected: ak === undefined ? "a signature by the key" : `a signature by ${toHex(ak.area.name)}`,
      actual: "none",
    })
}
