import type { webcrypto } from "node:crypto"

/**
 * The names of WebCrypto types that @peculiar/x509 expects to be global. Without these declarations each of
 * them would silently become `any`, for `lib` has no `dom` and `skipLibCheck` hides the holes.
 */
declare global {
  type Algorithm = webcrypto.Algorithm
  type AlgorithmIdentifier = webcrypto.AlgorithmIdentifier
  type BufferSource = ArrayBuffer | ArrayBufferView
  type CryptoKeyPair = webcrypto.CryptoKeyPair
  type EcKeyGenParams = webcrypto.EcKeyGenParams
  type EcKeyImportParams = webcrypto.EcKeyImportParams
  type EcdsaParams = webcrypto.EcdsaParams
  type KeyUsage = webcrypto.KeyUsage
  type RsaHashedImportParams = webcrypto.RsaHashedImportParams
}
