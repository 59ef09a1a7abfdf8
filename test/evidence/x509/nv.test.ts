import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../../src/bytes.ts"
import type { Code } from "../../../src/errors.ts"
import { fingerprintOf, parseCertificate } from "../../../src/evidence/x509/certificate.ts"
import type { Deviation } from "../../../src/evidence/x509/der.ts"
import { parseNvCertificate, unwrapNv } from "../../../src/evidence/x509/nv.ts"
import { throwsCode } from "../../support/assert.ts"
import { needs, vector } from "../../support/vectors.ts"
import { makeChain, NULL } from "../../support/x509.ts"

const test = suite("unwrapNv")

const { leaf } = makeChain("ek")
const fill = (size: number, value: number): Uint8Array => new Uint8Array(size).fill(value)
/** The TCG header before `der`, with a size of its own if one is given. */
const headed = (der: Uint8Array, size = der.length + 2, type = 0, inner = 0x1002): Uint8Array =>
  concat(Uint8Array.of(0x10, 0x01, type, size >> 8, size & 255, inner >> 8, inner & 255), der)

const good: readonly [name: string, bytes: Uint8Array, deviations: readonly Deviation[]][] = [
  ["a certificate alone", leaf, []],
  ["a certificate before ones", concat(leaf, fill(100, 0xff)), ["nv-padding"]],
  ["a certificate before zeros", concat(leaf, fill(700, 0)), ["nv-padding"]],
  ["a certificate before one octet of padding", concat(leaf, fill(1, 0xff)), ["nv-padding"]],
  ["a header before a certificate", headed(leaf), ["tcg-header"]],
  [
    "a header before a certificate before ones",
    concat(headed(leaf), fill(9, 0xff)),
    ["tcg-header", "nv-padding"],
  ],
  [
    "a header before a certificate before zeros",
    concat(headed(leaf), fill(9, 0)),
    ["tcg-header", "nv-padding"],
  ],
]
for (const [name, bytes, deviations] of good)
  test(`finds the certificate in ${name}, and says what was around it`, () => {
    const unwrapped = unwrapNv(bytes)
    assert.equal(unwrapped.der, leaf)
    assert.equal(unwrapped.deviations, deviations)
    const certificate = parseNvCertificate(bytes)
    assert.equal([...certificate.deviations], deviations)
    // Only the certificate is hashed and kept: the same one has one name, however it was read.
    assert.is(fingerprintOf(certificate), fingerprintOf(parseCertificate(leaf)))
    assert.equal(certificate.bytes, leaf)
  })

const refused: readonly [name: string, bytes: Uint8Array, code: Code][] = [
  [
    "X-14 padding that begins with something else",
    concat(leaf, Uint8Array.of(1), fill(99, 0xff)),
    "TRAILING",
  ],
  [
    "X-14 padding that ends with something else",
    concat(leaf, fill(99, 0xff), Uint8Array.of(0xfe)),
    "TRAILING",
  ],
  ["X-14 padding of two values", concat(leaf, fill(50, 0), fill(50, 0xff)), "TRAILING"],
  ["X-14 padding of another value", concat(leaf, fill(50, 0xaa)), "TRAILING"],
  ["X-14 a second certificate behind the first", concat(leaf, leaf), "TRAILING"],
  [
    "X-14 padding with something in its middle",
    concat(leaf, fill(50, 0xff), Uint8Array.of(0), fill(50, 0xff)),
    "TRAILING",
  ],
  [
    "X-14 a header before a certificate before something else",
    concat(headed(leaf), Uint8Array.of(1)),
    "TRAILING",
  ],
  ["X-14 a header with a size that is one short", headed(leaf, leaf.length + 1), "TRAILING"],
  ["X-14 a header with a size that is one over", headed(leaf, leaf.length + 3), "LENGTH"],
  ["X-14 a header with a size of FFFF", headed(leaf, 0xffff), "LENGTH"],
  ["X-14 a header with a size of 0", headed(leaf, 0), "LENGTH"],
  ["X-14 a header with a size of 1", headed(leaf, 1), "LENGTH"],
  ["X-14 a header of another type", headed(leaf, undefined, 1), "FRAMING"],
  ["X-14 a header with another tag within", headed(leaf, undefined, 0, 0x1003), "FRAMING"],
  ["X-14 a header that is cut", headed(leaf).subarray(0, 6), "LENGTH"],
  ["X-14 a header that is cut after its tag", headed(leaf).subarray(0, 2), "FRAMING"],
  ["X-14 a header that is cut within its tag", headed(leaf).subarray(0, 4), "FRAMING"],
]
for (const [name, bytes, code] of refused)
  test(`refuses ${name}`, () => void throwsCode(() => unwrapNv(bytes), code))

const inside: readonly [name: string, bytes: Uint8Array, code: Code][] = [
  [
    "X-14 padding that the header counts as the certificate's",
    headed(concat(leaf, fill(5, 0xff))),
    "TRAILING",
  ],
  [
    "X-14 padding inside of the certificate",
    concat(
      Uint8Array.of(0x30, 0x82, (leaf.length + 4) >> 8, (leaf.length + 4) & 255),
      leaf.subarray(4),
      fill(8, 0xff),
    ),
    "DER",
  ],
  ["X-14 a header before a header", headed(headed(leaf)), "DER"],
  [
    "X-14 something that is no certificate before padding",
    concat(Uint8Array.of(0x30, 0x82, 0, 2), NULL, fill(5, 0)),
    "DER",
  ],
  ["X-14 zeros", fill(100, 0), "DER"],
  ["X-14 ones", fill(100, 0xff), "DER"],
  ["X-14 nothing", new Uint8Array(), "DER"],
  ["X-14 a header before nothing", headed(new Uint8Array()), "DER"],
]
for (const [name, bytes, code] of inside)
  test(`refuses ${name}`, () => void throwsCode(() => parseNvCertificate(bytes), code))

needs("vectors", test)("finds the same certificate with and without the header of a genuine TPM", () => {
  const wrapped = parseNvCertificate(vector("ek-certs/hirs/nuc-1_ek_cert_untouched.cer"))
  const bare = parseNvCertificate(vector("ek-certs/hirs/nuc-1_ek_cert_7_byte_header_removed.cer"))
  assert.equal(wrapped.bytes, bare.bytes)
  assert.ok(wrapped.deviations.has("tcg-header") && !bare.deviations.has("tcg-header"))
})

test.run()
