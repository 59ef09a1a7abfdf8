import { suite } from "uvu"
import * as assert from "uvu/assert"
import { fromHex, toHex } from "../../../src/bytes.ts"
import { hashName } from "../../../src/evidence/tpm/algorithm.ts"
import { kdfa, kdfe } from "../../../src/evidence/tpm/kdf.ts"
import { needs, vectorJson } from "../../support/vectors.ts"

interface Vector {
  readonly Name: string
  readonly HashAlg: number
  readonly Label: string
  readonly ContextU: string
  readonly ContextV: string
  readonly Bits: number
  readonly Result: string
}

const bytesOf = (hex: string): Uint8Array => fromHex(hex) ?? new Uint8Array()
const hashOf = ({ HashAlg, Name }: Vector) => {
  const hash = hashName(HashAlg)
  if (hash === undefined) throw new TypeError(`no such hash: ${Name}`)
  return hash
}
const inputsOf = ({ Label, ContextU, ContextV, Bits }: Vector) => ({
  label: Label,
  contextU: bytesOf(ContextU),
  contextV: bytesOf(ContextV),
  bits: Bits,
})

const test = suite("kdf")

needs("vectors", test)("kdfa derives what 67 published vectors say", () => {
  const vectors = vectorJson<(Vector & { readonly Key: string })[]>("makecredential/kdfa.json")
  assert.is(vectors.length, 67)
  for (const vector of vectors)
    assert.is(toHex(kdfa(hashOf(vector), bytesOf(vector.Key), inputsOf(vector))), vector.Result, vector.Name)
})

needs("vectors", test)("kdfe derives what 67 published vectors say", () => {
  const vectors = vectorJson<(Vector & { readonly Z: string })[]>("makecredential/kdfe.json")
  assert.is(vectors.length, 67)
  for (const vector of vectors)
    assert.is(toHex(kdfe(hashOf(vector), bytesOf(vector.Z), inputsOf(vector))), vector.Result, vector.Name)
})

const base = {
  label: "STORAGE",
  contextU: new Uint8Array(34).fill(1),
  contextV: new Uint8Array(32).fill(2),
  bits: 256,
}
const others: [name: string, change: Partial<typeof base>][] = [
  ["another label", { label: "INTEGRITY" }],
  ["a label that ends with a zero", { label: "STORAGE\0" }],
  ["another first context", { contextU: new Uint8Array(34) }],
  ["another second context", { contextV: new Uint8Array(32) }],
  ["contexts in the other order", { contextU: base.contextV, contextV: base.contextU }],
]
for (const [name, kdf] of [
  ["kdfa", kdfa],
  ["kdfe", kdfe],
] as const)
  for (const [other, change] of others)
    test(`${name} derives something else for ${other}`, () => {
      const key = new Uint8Array(32).fill(3)
      assert.is.not(toHex(kdf("sha256", key, { ...base, ...change })), toHex(kdf("sha256", key, base)))
    })

test("kdfa derives other keys of other sizes, and kdfe a longer seed that begins alike", () => {
  const key = new Uint8Array(32).fill(3)
  const [short, long] = [kdfa("sha256", key, { ...base, bits: 128 }), kdfa("sha256", key, base)]
  assert.is.not(toHex(long).slice(0, 32), toHex(short))
  const [seed, longer] = [kdfe("sha256", key, base), kdfe("sha256", key, { ...base, bits: 520 })]
  assert.is(longer.length, 65)
  assert.is(toHex(longer).slice(0, 64), toHex(seed))
})

test.run()
