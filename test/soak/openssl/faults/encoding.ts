import { concat, utf8 } from "../../../../src/bytes.ts"
import {
  basicConstraints,
  bitString,
  extension,
  integer,
  octets,
  oid,
  seq,
  tlv,
  V3,
} from "../../../support/x509.ts"
import { change, ID } from "../chain.ts"
import { all, type Fault, inOne, issuers, leaf } from "./fault.ts"

const UNKNOWN = "1.3.6.1.4.1.99999.2"

const serial = (id: string, ...content: readonly number[]): Fault => ({
  id,
  apply: inOne(all, (draft) => change(draft, { serialNumber: tlv(0x02, Uint8Array.from(content)) })),
})

/** Something about the whole certificate, after it was signed. */
const whole = (id: string, finish: (der: Uint8Array) => Uint8Array): Fault => ({
  id,
  apply: inOne(all, (draft) => {
    draft.finish = finish
  }),
})

/** An extension spelled by hand. */
const spelled = (id: string, extensionId: string, value: Uint8Array, where = issuers): Fault => ({
  id,
  apply: inOne(where, (draft) => draft.extensions.set(extensionId, value)),
})

const TRUE = Uint8Array.of(1, 1, 0xff)
const bytes = (...list: readonly number[]): Uint8Array => Uint8Array.from(list)
/** Content of the outer SEQUENCE, whose length takes two octets. */
const contentOf = (der: Uint8Array): Uint8Array => der.subarray(4)
const constraintsOf = (...parts: readonly Uint8Array[]): Uint8Array =>
  extension(ID.basicConstraints, seq(...parts), true)
const usage = (...content: readonly number[]): Uint8Array =>
  extension(ID.keyUsage, tlv(0x03, Uint8Array.from(content)), true)

/** BER where DER has to be, numbers that are none, and bytes where nothing belongs. */
export const ENCODING: readonly Fault[] = [
  serial("serial number below zero", 0x80, 1),
  serial("serial number zero", 0),
  serial("serial number of 21 octets", 1, ...new Uint8Array(20)),
  { ...serial("serial number of 20 octets", 0x7f, ...new Uint8Array(19)), harmless: true },
  serial("serial number with a zero in front", 0, 1),
  serial("serial number without octets"),
  whole("a byte behind the certificate", (der) => concat(der, bytes(0))),
  whole("a certificate behind the certificate", (der) => concat(der, der)),
  whole("length in a longer form", (der) =>
    concat(bytes(0x30, 0x83, 0, der[2] ?? 0, der[3] ?? 0), contentOf(der)),
  ),
  whole("indefinite length", (der) => concat(bytes(0x30, 0x80), contentOf(der), bytes(0, 0))),
  whole("cut off", (der) => der.subarray(0, der.length - 1)),
  whole("an element behind the signature", (der) => seq(contentOf(der), tlv(0x05))),
  whole("tag of a SET around it", (der) => concat(bytes(0x31), der.subarray(1))),
  {
    id: "signature with unused bits",
    apply: inOne(all, (draft) => {
      draft.finish = (der) => {
        const unused = signatureStart(der)
        return der.map((byte, i) => (i === unused ? 7 : byte))
      }
    }),
  },
  {
    id: "version that is spelled out as 1",
    apply: inOne(all, (draft) => change(draft, { version: tlv(0xa0, integer(0)) })),
  },
  {
    id: "version without its tag",
    apply: inOne(all, (draft) => change(draft, { version: V3.subarray(2) })),
  },
  {
    id: "an element behind the extensions",
    apply: inOne(all, (draft) => change(draft, { more: tlv(0x05) })),
  },
  {
    id: "unique identifiers",
    harmless: true,
    apply: inOne(all, (draft) =>
      change(draft, { spki: concat(draft.keys.spki, tlv(0x81, bytes(0, 1)), tlv(0x82, bytes(0, 2))) }),
    ),
  },
  {
    id: "unique identifier behind the extensions",
    apply: inOne(all, (draft) => change(draft, { more: tlv(0x82, bytes(0, 1)) })),
  },
  {
    id: "empty list of extensions",
    apply: inOne(leaf, (draft) => {
      draft.extensions.clear()
      change(draft, { more: tlv(0xa3, seq()) })
    }),
  },
  spelled("BOOLEAN that is 01", ID.basicConstraints, constraintsOf(bytes(1, 1, 1))),
  spelled("BOOLEAN of two octets", ID.basicConstraints, constraintsOf(bytes(1, 2, 0xff, 0xff))),
  spelled("default FALSE that is spelled out", ID.basicConstraints, constraintsOf(bytes(1, 1, 0)), leaf),
  spelled(
    "critical FALSE that is spelled out",
    UNKNOWN,
    seq(oid(UNKNOWN), bytes(1, 1, 0), octets(tlv(0x05))),
    all,
  ),
  spelled(
    "critical that is neither TRUE nor FALSE",
    ID.basicConstraints,
    seq(oid(ID.basicConstraints), bytes(1, 1, 1), octets(seq(TRUE))),
  ),
  spelled("pathLen with zeros in front", ID.basicConstraints, constraintsOf(TRUE, bytes(2, 2, 0, 5))),
  spelled("an element behind basicConstraints", ID.basicConstraints, constraintsOf(TRUE, tlv(0x05))),
  spelled(
    "bytes behind the value of an extension",
    ID.basicConstraints,
    extension(ID.basicConstraints, concat(seq(TRUE), bytes(0)), true),
  ),
  spelled(
    "value of an extension that is empty",
    ID.basicConstraints,
    extension(ID.basicConstraints, bytes(), true),
  ),
  spelled(
    "length of an extension in a longer form",
    ID.keyUsage,
    extension(ID.keyUsage, bytes(3, 0x81, 2, 1, 6), true),
  ),
  spelled("named bits with zeros behind", ID.keyUsage, usage(0, 6)),
  spelled("named bits whose unused ones are set", ID.keyUsage, usage(1, 7)),
  spelled("named bits of none", ID.keyUsage, usage(0)),
  spelled("named bits without the octet of unused ones", ID.keyUsage, usage()),
  spelled("nine unused bits", ID.keyUsage, usage(9, 6)),
  spelled(
    "constructed BIT STRING",
    ID.keyUsage,
    extension(ID.keyUsage, tlv(0x23, bitString(bytes(6), 1)), true),
  ),
  spelled("extension without a value", UNKNOWN, seq(oid(UNKNOWN)), all),
  spelled(
    "extension's value in a constructed OCTET STRING",
    ID.basicConstraints,
    seq(oid(ID.basicConstraints), TRUE, tlv(0x24, octets(seq(TRUE)))),
  ),
  spelled(
    "identifier with a needless octet",
    UNKNOWN,
    seq(tlv(0x06, bytes(0x2b, 0x80, 1)), octets(tlv(0x05))),
    all,
  ),
  spelled(
    "identifier with an arc over 32 bits",
    UNKNOWN,
    seq(tlv(0x06, bytes(0x55, 0x1d, 0x90, 0x80, 0x80, 0x80, 0x80, 0x13)), octets(tlv(0x05))),
    all,
  ),
  spelled("identifier that is cut off", UNKNOWN, seq(tlv(0x06, bytes(0x2b, 0x86)), octets(tlv(0x05))), all),
  spelled("identifier of no octets", UNKNOWN, seq(tlv(0x06), octets(tlv(0x05))), all),
  {
    ...spelled(
      "basicConstraints under an identifier that looks like it",
      ID.basicConstraints,
      extension("2.5.29.4294967315", seq(TRUE), true),
    ),
  },
  spelled("extension of 33 levels", UNKNOWN, extension(UNKNOWN, nested(40)), all),
  spelled("an extension that is only text", UNKNOWN, concat(utf8("x")), all),
  {
    ...spelled(
      "basicConstraints of a leaf behind others",
      ID.basicConstraints,
      basicConstraints(false),
      leaf,
    ),
    harmless: true,
  },
]

function nested(levels: number): Uint8Array {
  return levels === 0 ? seq() : seq(nested(levels - 1))
}

/** Where the content of the last of a certificate's three elements begins. */
function signatureStart(der: Uint8Array): number {
  let at = 4
  let content = at
  while (at < der.length) {
    const first = der[at + 1] ?? 0
    const size = first < 0x80 ? 0 : first & 0x7f
    content = at + 2 + size
    const long = der.subarray(at + 2, content).reduce((sum, byte) => sum * 256 + byte, 0)
    at = content + (size === 0 ? first : long)
  }
  return content
}
