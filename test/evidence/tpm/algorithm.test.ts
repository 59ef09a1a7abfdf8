import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  algorithmId,
  DIGEST_BYTES_MAX,
  HASH_NAMES,
  HASHES,
  hashName,
} from "../../../src/evidence/tpm/algorithm.ts"

const test = suite("algorithm")

for (const name of HASH_NAMES)
  test(`knows ${name} by its identifier and digest size`, () => {
    assert.is(hashName(HASHES[name].id), name)
    assert.is(HASHES[name].sizeBytes, hash(name, "", "buffer").length)
    assert.ok(HASHES[name].sizeBytes <= DIGEST_BYTES_MAX)
  })

const unknown: [name: string, id: number][] = [
  ["no algorithm", 0x0000],
  ["an algorithm that is no hash", 0x0001],
  ["NULL", 0x0010],
  ["SM3-256", 0x0012],
  ["SHA3-256", 0x0027],
  ["SHA-256 in the other byte order", 0x0b00],
]
for (const [name, id] of unknown) test(`knows no hash for ${name}`, () => assert.is(hashName(id), undefined))

test("writes an identifier with four digits", () => assert.is(algorithmId(0x12), "0x0012"))

test.run()
