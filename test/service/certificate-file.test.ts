import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, utf8 } from "../../src/bytes.ts"
import type { Code } from "../../src/errors.ts"
import { readItems, readLeaf } from "../../src/service/certificate-file.ts"
import { throwsCode } from "../support/assert.ts"
import { leastCpuMs } from "../support/chain.ts"
import { makeChain } from "../support/x509.ts"

const test = suite("readItems and readLeaf")

const { root, intermediate, leaf } = makeChain("ak")

const pem = (der: Uint8Array, label = "CERTIFICATE", width = 64): string => {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(new RegExp(`.{1,${width}}`, "g")) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n")
}

const read = (text: string, kind: "certificate" | "crl" = "certificate") =>
  readItems(utf8(text), "a.pem", kind)
const good = pem(leaf)
const [first = "", ...others] = good.split("\n")

const forms: readonly [name: string, text: string][] = [
  ["as OpenSSL writes it", good],
  ["with text around it", `# Infineon's\n\n${good}subject=CN = x\n`],
  ["with CRLF", good.replaceAll("\n", "\r\n")],
  ["with CR alone", good.replaceAll("\n", "\r")],
  ["without an end of its last line", good.trimEnd()],
  ["with spaces behind its lines", good.replaceAll("\n", " \t\n")],
  ["on one line", pem(leaf, "CERTIFICATE", 1 << 20)],
  ["behind a byte order mark", `\ufeff${good}`],
  ["beside a key", `${pem(leaf, "PUBLIC KEY")}${good}`],
  ["behind text that begins as DER does", `0 s:CN = x\n${good}`],
]
for (const [name, text] of forms)
  test(`reads PEM ${name}`, () => assert.equal(read(text), [{ label: "a.pem", der: leaf }]))

test("reads many blocks in their order, and numbers them", () => {
  const items = read(
    `the root\n${pem(root)}the next\n${pem(intermediate)}${pem(leaf, "X509 CRL")}${pem(leaf)}`,
  )
  assert.equal(
    items.map(({ label }) => label),
    ["a.pem[1]", "a.pem[2]", "a.pem[3]"],
  )
  assert.equal(
    items.map(({ der }) => der),
    [root, intermediate, leaf],
  )
})

test("reads only what is asked for", () => {
  const both = `${pem(root)}${pem(leaf, "X509 CRL")}`
  assert.equal(read(both, "crl"), [{ label: "a.pem", der: leaf }])
  assert.equal(read(both, "certificate"), [{ label: "a.pem", der: root }])
})

test("takes everything else for DER, whatever is spelled in it", () => {
  const spelled = concat(Uint8Array.of(0x30, 0x82, 0x01, 0x00), utf8(good))
  for (const der of [leaf, spelled, Uint8Array.of(0x10, 0x01, 0x00), Uint8Array.of(0xff)])
    assert.equal(readItems(der, "a.der", "certificate"), [{ label: "a.der", der }])
})

const refused: readonly [name: string, text: string, code: Code][] = [
  ["a block that is half written", good.slice(0, good.length / 2), "INPUT"],
  ["a block without its end", good.replace(/-----END.*/, ""), "INPUT"],
  ["a second block that is half written", `${good}${pem(root).slice(0, 100)}`, "INPUT"],
  ["a block that ends as another", good.replace("END CERTIFICATE", "END X509 CRL"), "INPUT"],
  ["a block within a block", `${first}\n${good}`, "INPUT"],
  ["an end without a beginning", `${others.join("\n")}`, "INPUT"],
  ["a marker in the middle of a line", `x ${good}`, "INPUT"],
  ["a marker with spaces before it", ` ${good}`, "INPUT"],
  [
    "a marker in small letters behind a good one",
    good.replace("-----END CERTIFICATE", "-----END certificate"),
    "INPUT",
  ],
  ["headers in a block", `${first}\nProc-Type: 4,ENCRYPTED\n\n${others.join("\n")}`, "INPUT"],
  ["base64 with a foreign character", good.replace(/\nM/, "\n*"), "INPUT"],
  ["base64 with white space in a line", good.replace(/\nMII/, "\nMI I"), "INPUT"],
  ["base64url", good.replace(/[+/]/, "-"), "INPUT"],
  ["base64 without its padding", "-----BEGIN CERTIFICATE-----\nAAE\n-----END CERTIFICATE-----\n", "INPUT"],
  [
    "base64 with bits behind its end",
    "-----BEGIN CERTIFICATE-----\nAB==\n-----END CERTIFICATE-----\n",
    "INPUT",
  ],
  ["an empty block", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "INPUT"],
  ["no block of the kind", pem(leaf, "X509 CRL"), "INPUT"],
  ["a block of OpenSSL's own kind", pem(leaf, "TRUSTED CERTIFICATE"), "INPUT"],
  ["text without a block", "CN=Root\n", "INPUT"],
  ["nothing", "", "INPUT"],
]
for (const [name, text, code] of refused)
  test(`refuses ${name}`, () =>
    assert.is(throwsCode(() => read(text), code).location?.startsWith("a.pem"), true))

test("refuses every proper prefix of PEM", () => {
  const text = good.trimEnd()
  for (let size = 0; size < text.length; size += 7) throwsCode(() => read(text.slice(0, size)), "INPUT")
})

const block = (body: string): string => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`
const base64 = Buffer.from(leaf).toString("base64")

test("reads lines of 32 characters, and refuses X-17 lines that are shorter or empty by the thousand", () => {
  for (const width of [32, 64, 76]) assert.equal(read(pem(leaf, undefined, width))[0]?.der, leaf)
  for (const body of [
    base64 + "\n".repeat(1000),
    "\r\n".repeat(1000) + base64,
    base64 + "\r".repeat(1000),
    base64 + " \n".repeat(1000),
    base64.replaceAll(/.{4}/g, "$&\n"),
  ])
    throwsCode(() => read(block(body)), "INPUT")
})

test("refuses X-17 more blocks than there may be, of whatever kind", () => {
  const three = `${pem(leaf)}${pem(leaf, "PUBLIC KEY")}${pem(root)}`
  assert.is(readItems(utf8(three), "a", "certificate", 3).length, 2)
  throwsCode(() => readItems(utf8(three), "a", "certificate", 2), "INPUT")
})

/** Texts of a size that are made to take long; `""` stands for what goes on and on. */
const endless: readonly [name: string, before: string, over: string, behind: string][] = [
  ["line ends behind a beginning", "-----BEGIN X-----\n", "\n", ""],
  ["carriage returns behind a beginning", "-----BEGIN X-----\n", "\r", ""],
  ["line ends in a block", "-----BEGIN CERTIFICATE-----\n", "\n", "\n-----END CERTIFICATE-----\n"],
  [
    "line ends and returns in a block",
    "-----BEGIN CERTIFICATE-----\n",
    "\r\n",
    "-----END CERTIFICATE-----\n",
  ],
  ["spaces in a block", "-----BEGIN CERTIFICATE-----\n", " ", "\n-----END CERTIFICATE-----\n"],
  ["short lines in a block", "-----BEGIN CERTIFICATE-----\n", "AAA\n", "-----END CERTIFICATE-----\n"],
  ["spaces behind a beginning", "-----BEGIN CERTIFICATE-----", " ", ""],
  ["a label", "-----BEGIN ", "A", ""],
  ["dashes", "", "-", ""],
  ["half a beginning", "", "-----BEG", "-----BEGIN X-----"],
  ["text", "", "A", ""],
  ["blocks", "", "-----BEGIN A-----\n-----END A-----\n", ""],
]
const sized = (size: number, [, before, over, behind]: (typeof endless)[number]): Uint8Array =>
  utf8(before + over.repeat(Math.floor((size - before.length - behind.length) / over.length)) + behind)
for (const one of endless)
  test(`refuses X-17 256 KiB of ${one[0]}, within 5 ms`, () => {
    const bytes = sized(262_144, one)
    const ms = leastCpuMs(() => void throwsCode(() => readItems(bytes, "a", "certificate", 32), "INPUT"))
    assert.ok(ms < 5, `${ms} ms`)
  })

test("refuses X-17 16 MiB of line ends, within 200 ms", () => {
  for (const one of endless.slice(0, 4)) {
    const bytes = sized(16_777_216, one)
    const ms = leastCpuMs(() => void throwsCode(() => readItems(bytes, "a", "certificate"), "INPUT"))
    assert.ok(ms < 200, `${ms} ms of ${one[0]}`)
  }
})

test("reads back whatever was written, and throws nothing but INPUT", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1 }), (ders) => {
      const items = read(ders.map((der) => pem(der)).join("text\n"))
      assert.equal(
        items.map(({ der }) => der),
        ders,
      )
    }),
  )
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...good.split("\n"), "-----BEGIN X-----", "x")), (lines) => {
      try {
        read(lines.join("\n"))
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "INPUT")) throw error
      }
    }),
  )
})

test("reads one leaf, in PEM and in DER", () => {
  for (const bytes of [leaf, utf8(good)])
    for (const mayBeNv of [false, true])
      assert.equal(readLeaf(bytes, "a", mayBeNv), { label: "a", der: leaf, deviations: [] })
})

const header = Uint8Array.of(0x10, 0x01, 0, (leaf.length + 2) >> 8, (leaf.length + 2) & 0xff, 0x10, 0x02)

test("takes a leaf out of an NV index where one may be", () => {
  const padded = concat(leaf, new Uint8Array(100).fill(0xff))
  assert.equal(readLeaf(padded, "a", true).der, leaf)
  assert.equal(readLeaf(padded, "a", true).deviations, ["nv-padding"])
  assert.equal(readLeaf(padded, "a", false).der, padded)
  assert.equal(readLeaf(concat(header, padded), "a", true).deviations, ["tcg-header", "nv-padding"])
})

const trailing: readonly [name: string, bytes: Uint8Array, code: Code][] = [
  ["PEM with two certificates", utf8(`${good}${pem(root)}`), "TRAILING"],
  ["PEM with the same certificate twice", utf8(`${good}${good}`), "TRAILING"],
  ["bytes behind DER that are no padding", concat(leaf, Uint8Array.of(0xff, 0xfe)), "TRAILING"],
  ["padding of two values", concat(leaf, Uint8Array.of(0xff, 0x00)), "TRAILING"],
  ["another certificate behind DER", concat(leaf, root), "TRAILING"],
  ["a header with a length over what is there", concat(header, leaf).subarray(0, -1), "LENGTH"],
  ["a header of another type", concat(header.with(2, 1), leaf), "FRAMING"],
]
for (const [name, bytes, code] of trailing)
  test(`refuses X-14 ${name} as a leaf`, () => void throwsCode(() => readLeaf(bytes, "a", true), code))

test.run()
