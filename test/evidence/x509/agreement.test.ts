/**
 * What this parser reads of a genuine certificate, two others read too: OpenSSL, in node:crypto, and pkijs. For every
 * certificate of the vectors that parses here; how many that are of each folder is fixed, so that none is lost.
 */
import { X509Certificate } from "node:crypto"
import { globSync } from "node:fs"
import { Certificate as PkijsCertificate, type RelativeDistinguishedNames } from "pkijs"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../../src/bytes.ts"
import { AssayError } from "../../../src/errors.ts"
import { type Certificate, parseCertificate } from "../../../src/evidence/x509/certificate.ts"
import { KEY_USAGE } from "../../../src/evidence/x509/extensions.ts"
import type { Name } from "../../../src/evidence/x509/name.ts"
import { unwrapNv } from "../../../src/evidence/x509/nv.ts"
import { needs, VECTORS, vector } from "../../support/vectors.ts"

const test = suite("parseCertificate, beside OpenSSL and pkijs")

/** Certificates of a file: PEM with any number of them, or DER, as a TPM's NV index has it too. */
const certificatesIn = (path: string): readonly Uint8Array[] => {
  const bytes = vector(path)
  const blocks = [
    ...Buffer.from(bytes)
      .toString("latin1")
      .matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END/g),
  ]
  return blocks.length > 0
    ? blocks.map(([, body = ""]) => new Uint8Array(Buffer.from(body, "base64")))
    : [unwrapNv(bytes).der]
}

const parse = (bytes: Uint8Array): Certificate | undefined => {
  try {
    return parseCertificate(bytes)
  } catch (error) {
    if (!(error instanceof AssayError)) throw error
    return undefined
  }
}

const BASIC_CONSTRAINTS = "2.5.29.19"
const textsOf = ({ attributes }: Name): readonly string[] =>
  attributes.map(({ type, text }) => `${type}=${text}`)
const pkijsTextsOf = ({ typesAndValues }: RelativeDistinguishedNames): readonly string[] =>
  typesAndValues.map(({ type, value }) => `${type}=${value.valueBlock.value}`)

const agreesWithPkijs = (ours: Certificate, where: string): void => {
  const theirs = PkijsCertificate.fromBER(Uint8Array.from(ours.bytes).buffer)
  assert.equal(textsOf(ours.subject), pkijsTextsOf(theirs.subject), where)
  assert.equal(textsOf(ours.issuer), pkijsTextsOf(theirs.issuer), where)
  assert.is(toHex(ours.serialNumber), toHex(theirs.serialNumber.valueBlock.valueHexView), where)
  assert.is(ours.notBefore, theirs.notBefore.value.getTime(), where)
  assert.is(ours.notAfter, theirs.notAfter.value.getTime(), where)
  assert.is(toHex(ours.spki), toHex(new Uint8Array(theirs.subjectPublicKeyInfo.toSchema().toBER())), where)
  assert.is(toHex(ours.tbs), toHex(theirs.tbsView), where)
  const constraints = theirs.extensions?.find(({ extnID }) => extnID === BASIC_CONSTRAINTS)?.parsedValue
  assert.is(ours.extensions.basicConstraints?.ca === true, constraints?.cA === true, where)
  assert.equal([...ours.present], theirs.extensions?.map(({ extnID }) => extnID) ?? [], where)
}

const agreesWithOpenssl = (ours: Certificate, where: string): void => {
  const theirs = new X509Certificate(ours.bytes)
  assert.is(BigInt(`0x${toHex(ours.serialNumber)}`), BigInt(`0x${theirs.serialNumber}`), where)
  assert.is(ours.notBefore, theirs.validFromDate.getTime(), where)
  assert.is(ours.notAfter, theirs.validToDate.getTime(), where)
  // OpenSSL calls only that a CA whose key may sign certificates.
  const { basicConstraints, keyUsage = KEY_USAGE.keyCertSign } = ours.extensions
  assert.is(basicConstraints?.ca === true && (keyUsage & KEY_USAGE.keyCertSign) !== 0, theirs.ca, where)
  assert.equal(valuesOf(ours.subject), opensslValuesOf(theirs.subject), where)
  assert.equal(valuesOf(ours.issuer), opensslValuesOf(theirs.issuer), where)
  // Of an id-RSAES-OAEP key, OpenSSL makes nothing.
  if (ours.deviations.has("rsaes-oaep-key")) assert.throws(() => theirs.publicKey)
  else assert.is(toHex(ours.spki), toHex(theirs.publicKey.export({ type: "spki", format: "der" })), where)
}

/** OpenSSL writes one attribute a line, those of one relative name with a plus, and escapes as in RFC 2253. */
const opensslValuesOf = (text: string | undefined): readonly string[] =>
  (text ?? "")
    .split(/\n| \+ /)
    .filter((line) => line !== "")
    .map((line) => line.slice(line.indexOf("=") + 1).replace(/\\([^0-9A-F]|[0-9A-F]{2})/g, unescaped))
const unescaped = (_: string, what: string): string =>
  what.length === 2 ? String.fromCharCode(Number.parseInt(what, 16)) : what
const valuesOf = ({ attributes }: Name): readonly string[] => attributes.map(({ text }) => text)

/** How many certificates there are, and how many of them parse: the others are in other tests, each with its reason. */
const folders: readonly [pattern: string, found: number, parsed: number][] = [
  ["ek-certs/**/*.{pem,cer,crt}", 16, 16],
  ["tpm-roots/**/*.pem", 200, 200],
  ["pkits/certs/*.crt", 243, 242],
  ["platform-certs/IntelSigningKey*.cer", 1, 1],
  ["android-key/*.pem", 69, 68],
]
for (const [pattern, found, parsed] of folders)
  needs("vectors", test)(`agrees on all of ${pattern}`, () => {
    const all = globSync(pattern, { cwd: VECTORS })
      .sort()
      .flatMap((path) => certificatesIn(path).map((bytes, i) => ({ bytes, where: `${path}[${i}]` })))
    let count = 0
    for (const { bytes, where } of all) {
      const ours = parse(bytes)
      if (ours === undefined) continue
      count += 1
      agreesWithPkijs(ours, where)
      agreesWithOpenssl(ours, where)
    }
    assert.equal([all.length, count], [found, parsed])
  })

test.run()
