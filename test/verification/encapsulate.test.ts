import { suite } from "uvu"
import * as assert from "uvu/assert"
import { fromHex, toHex } from "../../src/bytes.ts"
import { generateKeys } from "../../src/device/keys.ts"
import { type HashName, hashName } from "../../src/evidence/tpm/algorithm.ts"
import { type PublicArea, parsePublicArea } from "../../src/evidence/tpm/public.ts"
import { encapsulate } from "../../src/verification/encapsulate.ts"
import { createKeyObject } from "../../src/verification/key.ts"
import { throwsCode } from "../support/assert.ts"
import { drawing } from "../support/credential.ts"
import { needs, vectorJson } from "../support/vectors.ts"

interface Vector {
  readonly Name: string
  readonly Label: string
  readonly PublicKey: string
  readonly Secret: string
  readonly Ciphertext: string
}

const bytesOf = (hex: string): Uint8Array => fromHex(hex) ?? new Uint8Array()
/** OAEP by the hash of the key's own scheme if it has one, as keys that are no storage keys do. */
const hashOf = ({ scheme, nameAlg }: PublicArea): HashName =>
  (scheme.kind === "unsupported" ? hashName(scheme.hashAlg ?? 0) : undefined) ?? nameAlg

const check = (vector: Vector, hash: (area: PublicArea) => HashName, ...random: readonly string[]): void => {
  const area = parsePublicArea(bytesOf(vector.PublicKey))
  const recipient = { key: area.key, keyObject: createKeyObject(area.key) }
  const { seed, secret } = encapsulate(recipient, hash(area), vector.Label, drawing(...random.map(bytesOf)))
  assert.is(toHex(seed), vector.Secret, vector.Name)
  assert.is(toHex(secret), vector.Ciphertext, vector.Name)
}

const test = suite("encapsulate")

needs("vectors", test)("encrypts to RSA keys what 67 published vectors say, byte for byte", () => {
  const vectors = vectorJson<(Vector & { readonly OAEPSalt: string })[]>(
    "makecredential/rsa_labeled_encaps.json",
  )
  assert.is(vectors.length, 67)
  for (const vector of vectors) check(vector, hashOf, vector.Secret, vector.OAEPSalt)
})

needs("vectors", test)("shares with ECC keys what 67 published vectors say, byte for byte", () => {
  const vectors = vectorJson<(Vector & { readonly EphemeralPrivate: string })[]>(
    "makecredential/ecc_labeled_encaps.json",
  )
  assert.is(vectors.length, 67)
  for (const vector of vectors) check(vector, ({ nameAlg }) => nameAlg, vector.EphemeralPrivate)
})

const recipientOf = (algorithm: "p256" | "p521") => {
  const { publicKey: key } = generateKeys(algorithm)
  return { key, keyObject: createKeyObject(key) }
}
const order = bytesOf("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")

test("draws again what is no private key: zero, and numbers from the order of the curve on", () => {
  const good = new Uint8Array(32).fill(7)
  const recipient = recipientOf("p256")
  const once = encapsulate(recipient, "sha256", "IDENTITY", drawing(good))
  const random = drawing(new Uint8Array(32), order, new Uint8Array(32).fill(0xff), good)
  assert.equal(encapsulate(recipient, "sha256", "IDENTITY", random), once)
})

test("takes of a number for P-521 the bits that the curve has", () => {
  const [drawn, cut] = [new Uint8Array(66).fill(0x55), new Uint8Array(66).fill(0x55)]
  drawn[0] = 0xff
  cut[0] = 0x01
  const recipient = recipientOf("p521")
  assert.equal(
    encapsulate(recipient, "sha512", "IDENTITY", drawing(drawn)),
    encapsulate(recipient, "sha512", "IDENTITY", drawing(cut)),
  )
})

test("ends, if the source gives nothing that a key can be made of", () => {
  throwsCode(
    () => encapsulate(recipientOf("p256"), "sha256", "IDENTITY", (sizeBytes) => new Uint8Array(sizeBytes)),
    "RNG",
  )
})

test.run()
