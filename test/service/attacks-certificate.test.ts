/** against the whole service: certificates that are none, by the field that they are in. */
import { suite } from "uvu"
import { concat, utf8 } from "../../src/bytes.ts"
import { nested, rawInteger, unknownExtension } from "../support/crl.ts"
import {
  akChainOf,
  chainTable,
  limitUnspent,
  type MakeChain,
  malformedAt,
  trustingScene,
} from "../support/endorsed.ts"
import { P256, P384, RSAPSS, RSASSA } from "../support/victim.ts"
import {
  AK_EXTENSIONS,
  basicConstraints,
  bitString,
  boolean,
  type CertificateParts,
  caExtensions,
  EKU_AK,
  extension,
  integer,
  keyUsage,
  octets,
  oid,
  seq,
  set,
  subjectAltName,
  tlv,
  tpmName,
  withExtensions,
} from "../support/x509.ts"

const test = suite("attacks with malformed certificates")
const scene = trustingScene(test, () => {})

/** The usual chain with its leaf, or its intermediate, made otherwise. */
const leaf =
  (changed: Partial<CertificateParts>): MakeChain =>
  (device) =>
    akChainOf(device, { leaf: changed })
const intermediate =
  (changed: Partial<CertificateParts>): MakeChain =>
  (device) =>
    akChainOf(device, { intermediate: changed })
const saying = (...extensions: readonly Uint8Array[]): MakeChain =>
  leaf({ extensions: withExtensions(AK_EXTENSIONS, ...extensions) })
/** The usual chain with the bytes of one of its certificates changed. */
const reshaped =
  (index: number, change: (der: Uint8Array) => Uint8Array): MakeChain =>
  (device) =>
    akChainOf(device).map((der, i) => (i === index ? change(der) : der))
const TRUE_01 = tlv(0x01, Uint8Array.of(1))
/** As `extension`, with whatever for its flag and its value. */
const spelled = (id: string, ...rest: readonly Uint8Array[]): Uint8Array => seq(oid(id), ...rest)

chainTable(
  test,
  "X-11",
  malformedAt("DER"),
  [
    [
      "a length without an end",
      P256,
      reshaped(0, (der) => concat(Uint8Array.of(0x30, 0x80), der.subarray(4), new Uint8Array(2))),
    ],
    ["a length that is longer than it need be", RSASSA, leaf({ subject: Uint8Array.of(0x30, 0x81, 0x00) })],
    ["a truth that is 01", P384, saying(extension("2.5.29.19", seq(TRUE_01), true))],
    [
      "a truth that is 01 for critical",
      RSAPSS,
      saying(spelled("2.5.29.15", TRUE_01, octets(bitString(Uint8Array.of(0x80), 7)))),
    ],
    ["an integer with a zero in front", P256, leaf({ serialNumber: rawInteger("0001") })],
    ["a string made of strings", RSASSA, saying(spelled("1.2.3.4", tlv(0x24, octets(Uint8Array.of(5, 0)))))],
    [
      "unused bits that are set",
      P384,
      saying(extension("2.5.29.15", tlv(0x03, Uint8Array.of(7, 0x81)), true)),
    ],
    ["a default that is spelled out", RSAPSS, saying(spelled("1.2.3.4", boolean(false), octets()))],
    ["a cA that is spelled out as false", P256, saying(extension("2.5.29.19", seq(boolean(false)), true))],
    ["a version that is spelled out as 1", P256, leaf({ version: tlv(0xa0, integer(0)) })],
    [
      "a set that is out of order",
      RSASSA,
      leaf({
        subject: seq(
          set(seq(oid("2.5.4.3"), tlv(0x0c, utf8("b"))), seq(oid("2.5.4.3"), tlv(0x0c, utf8("a")))),
        ),
      }),
    ],
    [
      "text that is no UTF-8",
      P384,
      leaf({ subject: seq(set(seq(oid("2.5.4.3"), tlv(0x0c, Uint8Array.of(0xc0, 0x80))))) }),
    ],
    ["nothing at all", P256, () => [new Uint8Array()]],
    ["a certificate that is cut short", RSASSA, reshaped(0, (der) => der.subarray(0, -1))],
    [
      "PEM",
      P256,
      reshaped(0, (der) =>
        utf8(
          `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString("base64")}\n-----END CERTIFICATE-----\n`,
        ),
      ),
    ],
    [
      "BER in the intermediate",
      RSAPSS,
      intermediate({ extensions: [extension("2.5.29.19", seq(TRUE_01), true), keyUsage(5, 6)] }),
      malformedAt("DER", 1),
    ],
  ],
  scene,
)

chainTable(
  test,
  "X-12",
  malformedAt("DUP_EXT"),
  [
    [
      "basicConstraints twice, first no CA and then one",
      P256,
      leaf({ extensions: [...AK_EXTENSIONS, basicConstraints(true)] }),
    ],
    ["the TPM's name twice", RSASSA, leaf({ extensions: [...AK_EXTENSIONS, tpmName()] })],
    [
      "an unknown one twice",
      P384,
      leaf({ extensions: [...AK_EXTENSIONS, unknownExtension(), unknownExtension()] }),
    ],
    ["one three times", RSAPSS, leaf({ extensions: [keyUsage(0), ...AK_EXTENSIONS, keyUsage(0)] })],
    [
      "one critical and not",
      P256,
      leaf({ extensions: [...AK_EXTENSIONS, unknownExtension(true), unknownExtension()] }),
    ],
    [
      "basicConstraints twice in the intermediate",
      RSASSA,
      intermediate({ extensions: [...caExtensions(), basicConstraints(true, 9)] }),
      malformedAt("DUP_EXT", 1),
    ],
  ],
  scene,
)

chainTable(
  test,
  "X-13",
  malformedAt("SERIAL"),
  [
    ["zero", P256, leaf({ serialNumber: integer(0) })],
    ["less than zero", RSASSA, leaf({ serialNumber: rawInteger("ff") })],
    ["less than zero by much", P384, leaf({ serialNumber: rawInteger("80".padEnd(40, "0")) })],
    ["21 octets", RSAPSS, leaf({ serialNumber: rawInteger("01".padEnd(42, "0")) })],
    ["20 octets behind a zero", P256, leaf({ serialNumber: rawInteger("00ff".padEnd(42, "0")) })],
    [
      "zero in the intermediate",
      RSASSA,
      intermediate({ serialNumber: integer(0) }),
      malformedAt("SERIAL", 1),
    ],
  ],
  scene,
)

const FF = new Uint8Array(64).fill(0xff)
/** TCG_PCCLIENT_STORED_CERT around a certificate, with a size that is off by some. */
const wrapped = (der: Uint8Array, off = 0): Uint8Array => {
  const size = der.length + 2 + off
  return concat(Uint8Array.of(0x10, 0x01, 0x00, size >> 8, size & 0xff, 0x10, 0x02), der)
}
/** Made anew until the leaf's signature does not end with a byte that could be padding, as one in 128 does. */
const endingPlainly =
  (make: MakeChain): MakeChain =>
  (...made) => {
    for (;;) {
      const chain = make(...made)
      if (![0x00, 0xff].includes(chain[0]?.at(-1) ?? 0)) return chain
    }
  }
chainTable(
  test,
  "X-14",
  malformedAt("TRAILING"),
  [
    ["a byte behind the leaf", P256, reshaped(0, (der) => concat(der, Uint8Array.of(1)))],
    ["padding that ends with another byte", RSASSA, reshaped(0, (der) => concat(der, FF, Uint8Array.of(0)))],
    ["a second certificate behind the leaf", P384, (device) => [concat(...akChainOf(device))]],
    [
      "padding behind the intermediate",
      RSAPSS,
      reshaped(1, (der) => concat(der, FF)),
      malformedAt("TRAILING", 1),
    ],
    [
      "a zero behind the intermediate",
      P256,
      reshaped(1, (der) => concat(der, new Uint8Array(1))),
      malformedAt("TRAILING", 1),
    ],
    ["a field more in what is signed", RSASSA, leaf({ more: integer(7) }), malformedAt("TRAILING")],
    [
      "a field more in what is signed of the intermediate",
      P384,
      intermediate({ more: octets() }),
      malformedAt("TRAILING", 1),
    ],
    [
      "a header that counts a byte too many",
      RSAPSS,
      reshaped(0, (der) => wrapped(der, 1)),
      malformedAt("LENGTH"),
    ],
    [
      "a header that counts a byte too few",
      P256,
      endingPlainly(reshaped(0, (der) => wrapped(der, -1))),
      malformedAt("TRAILING"),
    ],
    ["a header around the intermediate", P256, reshaped(1, (der) => wrapped(der)), malformedAt("DER", 1)],
  ],
  scene,
)

/** An OBJECT IDENTIFIER of these octets. */
const rawOid = (...content: readonly number[]): Uint8Array => tlv(0x06, Uint8Array.from(content))
const [, , ...AK_ARCS] = oid(EKU_AK)
const eku = (purpose: Uint8Array): MakeChain => saying(extension("2.5.29.37", seq(purpose)))
chainTable(
  test,
  "X-15",
  malformedAt("OID"),
  [
    // 2.23.133.8.(2^32 + 3): whoever keeps 32 bits of an arc reads the purpose of an attestation key.
    [
      "an arc that becomes the purpose's if it is cut off",
      P256,
      eku(rawOid(...AK_ARCS.slice(0, -1), 0x90, 0x80, 0x80, 0x80, 0x03)),
    ],
    ["an arc with zeros in front", RSASSA, eku(rawOid(...AK_ARCS.slice(0, -1), 0x80, 0x03))],
    ["an arc without an end", P384, eku(rawOid(...AK_ARCS.slice(0, -1), 0x83))],
    [
      "an arc of a thousand octets",
      RSAPSS,
      eku(rawOid(...AK_ARCS, ...new Array<number>(1000).fill(0xff), 0x01)),
    ],
    ["no arc at all", P256, eku(rawOid())],
    [
      "one in a name",
      RSASSA,
      leaf({ subject: seq(set(seq(rawOid(0x55, 0x04, 0x80, 0x03), tlv(0x0c, utf8("x"))))) }),
    ],
    ["one for an algorithm", P384, leaf({ innerAlgorithm: seq(rawOid(0x2a, 0x80, 0x01)) })],
    [
      "one in the intermediate",
      RSAPSS,
      intermediate({
        extensions: [...caExtensions(), spelled("1.2.3.4", octets()), seq(rawOid(0x80, 0x01), octets())],
      }),
      malformedAt("OID", 1),
    ],
  ],
  scene,
)

const deep = (index: number) => ({
  ...limitUnspent("DEPTH"),
  location: `evidence.tpm.ak_certificate_chain[${index}]`,
})
chainTable(
  test,
  "X-16",
  deep(0),
  [
    ["10,000 sequences for a certificate", P256, () => [nested(10_000)]],
    ["10,000 sequences in a certificate", RSASSA, leaf({ more: nested(10_000) })],
    [
      "10,000 sequences in an extension that nobody knows",
      P384,
      saying(unknownExtension(false, nested(10_000))),
    ],
    [
      "10,000 sequences in an extension that is known",
      RSAPSS,
      saying(extension("2.5.29.17", nested(10_000))),
    ],
    ["10,000 sequences for a name", P256, leaf({ subject: nested(10_000) })],
    ["10,000 names within names", P256, saying(subjectAltName([tlv(0xa4, nested(10_000))]))],
    [
      "10,000 sequences in the intermediate",
      RSASSA,
      intermediate({ extensions: [...caExtensions(), unknownExtension(false, nested(10_000))] }),
      deep(1),
    ],
  ],
  scene,
)

test.run()
