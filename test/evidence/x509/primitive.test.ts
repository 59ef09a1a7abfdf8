import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../../src/bytes.ts"
import {
  asn1Time,
  isMinimalInteger,
  isUtf8,
  OID_ARC_MAX,
  oidText,
} from "../../../src/evidence/x509/primitive.ts"
import { oid } from "../../support/x509.ts"

const test = suite("values of primitive types")

const timeOf = (text: string): number | undefined => {
  const bytes = utf8(text)
  return asn1Time(text.length === 13, bytes, 0, bytes.length)
}

const times: readonly [text: string, iso: string][] = [
  ["261121120000Z", "2026-11-21T12:00:00Z"],
  ["500101000000Z", "1950-01-01T00:00:00Z"],
  ["491231235959Z", "2049-12-31T23:59:59Z"],
  ["000229000000Z", "2000-02-29T00:00:00Z"],
  ["20260101000000Z", "2026-01-01T00:00:00Z"],
  ["99991231235959Z", "9999-12-31T23:59:59Z"],
  ["20240229235959Z", "2024-02-29T23:59:59Z"],
  ["00000101000000Z", "0000-01-01T00:00:00Z"],
  ["00500101000000Z", "0050-01-01T00:00:00Z"],
]
for (const [text, iso] of times)
  test(`reads the time ${text}`, () => assert.is(timeOf(text), Date.parse(iso)))

const noTimes: readonly string[] = [
  "",
  "Z",
  "2611211200Z",
  "261121120000",
  "261121120000z",
  "261121120060Z",
  "261121126000Z",
  "261121240000Z",
  "260229000000Z",
  "260431000000Z",
  "260001000000Z",
  "261301000000Z",
  "260100000000Z",
  "260132000000Z",
  "26112112000 Z",
  "-61121120000Z",
  ":00101000000Z",
  "26012:000000Z",
  "2611211200:0Z",
  "26/121120000Z",
  "261121120000+",
  "19000229000000Z",
  "20261121120060Z",
  "20261121120000+",
  "20261121120000.0Z",
  "2026112112000Z0",
  "202611211200000Z",
  "20261121 20000Z",
]
for (const text of noTimes) test(`refuses X-11 the time "${text}"`, () => assert.is(timeOf(text), undefined))

test("writes object identifiers as they are written", () => {
  for (const text of [
    "0.0",
    "0.39",
    "1.0",
    "1.39",
    "2.0",
    "2.40",
    "2.999",
    "1.2.840.113549.1.1.11",
    "2.23.133.8.3",
    `1.3.${OID_ARC_MAX}`,
    `2.${OID_ARC_MAX - 80}.0`,
  ]) {
    const [, , ...content] = oid(text)
    assert.is(oidText(Uint8Array.from(content), 0, content.length), text)
  }
})

test("knows integers in their shortest form, for any number", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }), (value) => {
      const size =
        value < 0n ? (-value - 1n).toString(2).length + 1 : value.toString(2).length + (value === 0n ? 0 : 1)
      const octets = Math.ceil(Math.max(1, size) / 8)
      const shortest = Buffer.from(
        BigInt.asUintN(octets * 8, value)
          .toString(16)
          .padStart(octets * 2, "0"),
        "hex",
      )
      const longer = Buffer.concat([Buffer.of(value < 0n ? 0xff : 0), shortest])
      return isMinimalInteger(shortest, 0, octets) && !isMinimalInteger(longer, 0, octets + 1)
    }),
    { seed: 5, numRuns: 300 },
  )
  assert.is(isMinimalInteger(new Uint8Array(), 0, 0), false)
  assert.is(isMinimalInteger(Uint8Array.of(1, 0, 1, 1), 1, 3), false)
})

test("knows UTF-8 as the platform does, within its bounds", () => {
  const strict = new TextDecoder("utf-8", { fatal: true })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 6 }), (bytes) => {
      let isText = true
      try {
        strict.decode(bytes)
      } catch {
        isText = false
      }
      return isUtf8(bytes, 0, bytes.length) === isText
    }),
    { seed: 6, numRuns: 500 },
  )
  assert.is(isUtf8(Uint8Array.of(0xff, 0x61, 0xff), 1, 2), true)
  assert.is(isUtf8(Uint8Array.of(0x61, 0xff), 0, 2), false)
})

test.run()
