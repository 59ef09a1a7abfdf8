/** against the whole service: what was signed, and the values that go with it. */
import { hash as digest } from "node:crypto"
import { suite } from "uvu"
import { concat, utf8 } from "../../src/bytes.ts"
import { encodeQuoted, rawSelection } from "../../src/device/encode.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import type { HashName } from "../../src/evidence/tpm/algorithm.ts"
import type { PcrSelection } from "../../src/evidence/tpm/selection.ts"
import { type Attack, attackTests, malformed, spent, unspent } from "../support/attack.ts"
import { BOOT_PCRS, flipped } from "../support/core.ts"
import {
  type Attempt,
  P256,
  P384,
  quoting,
  RSAPSS,
  RSASSA,
  showing,
  showingBanks,
  tampered,
  type Victim,
} from "../support/victim.ts"

const test = suite("attacks on the quote")

// a signed structure that no TPM made.

const magics: [name: string, of: Victim, magic: number][] = [
  ["zero", RSASSA, 0],
  ["with its last bit changed", P256, 0xff544346],
  ["with its first bit changed", P384, 0x7f544347],
  ["with its bytes reversed", RSAPSS, 0x474354ff],
  ["of a TPM 1.2 quote", P384, 0x51554f54],
  ["of all ones", RSASSA, 0xffffffff],
]
attackTests(test, [
  ...magics.map(
    ([name, of, magic]): Attack => ({
      name: `Q-01 a signed structure with a magic ${name}`,
      of,
      forge: tampered((fields) => ({ ...fields, magic })),
      refusal: malformed("QUOTE_MAGIC"),
    }),
  ),
  {
    name: "Q-01 text that the key was made to sign",
    of: P256,
    forge: tampered(() => utf8("TCG: this is no attestation at all")),
    refusal: malformed("QUOTE_MAGIC"),
  },
  {
    name: "Q-01 the challenge's own digest, signed bare",
    of: RSAPSS,
    forge: (attempt) => tampered(() => attempt.extraData)(attempt),
    refusal: malformed("QUOTE_MAGIC"),
  },
])

// another kind of attestation, over the right extraData. It is no answer, so the challenge stays.

const signed =
  (make: (attempt: Attempt) => { attest: Uint8Array; signature: Uint8Array }) => (attempt: Attempt) =>
    showing(() => make(attempt))(attempt)
const kinds: [name: string, of: Victim, forge: Attack["forge"]][] = [
  [
    "the certification of the key itself",
    RSASSA,
    signed(({ device, extraData }) => device.certify(extraData)),
  ],
  [
    "the certification of another key",
    P256,
    signed(({ device, extraData }) => device.certify(extraData, P384.device.akPublic)),
  ],
  ["a proof of creation", P384, signed(({ device, extraData }) => device.certifyCreation(extraData))],
  ["the time", RSAPSS, signed(({ device, extraData }) => device.getTime(extraData))],
  ["an NV certification", RSASSA, tampered((fields) => ({ ...fields, type: 0x8014 }))],
  ["a command audit", P256, tampered((fields) => ({ ...fields, type: 0x8015 }))],
  ["a session audit", P384, tampered((fields) => ({ ...fields, type: 0x8016 }))],
  ["a type that there is not", RSAPSS, tampered((fields) => ({ ...fields, type: 0x8118 }))],
]
attackTests(
  test,
  kinds.map(([name, of, forge]) => ({
    name: `Q-02 ${name} over the right challenge`,
    of,
    forge,
    refusal: unspent("ATTEST_TYPE"),
  })),
)

// values that are not those of the digest.

/** A quote whose digest is made by `hash` over the values of `over`, whatever is selected. */
const digested =
  (hash: HashName, over?: (device: SoftwareDevice) => Uint8Array, selection?: readonly PcrSelection[]) =>
  (attempt: Attempt) => {
    const { device } = attempt
    const select = selection ?? device.selection
    const values = over?.(device) ?? device.pcrValues(select)
    const attested = encodeQuoted(select.map(rawSelection), digest(hash, values, "buffer"))
    return quoting({ selection: select, tamper: (fields) => ({ ...fields, attested }) })(attempt)
  }
const reversed = RSAPSS.device.selection.toReversed()
const digests: [name: string, of: Victim, forge: Attack["forge"]][] = [
  [
    "with the first bit of the first value changed",
    RSASSA,
    showingBanks((banks) => banks.map(({ hash, values }) => ({ hash, values: flipped(values, 0, 0x80) }))),
  ],
  [
    "with the last bit of the last bank's last value changed",
    RSAPSS,
    showingBanks((banks) =>
      banks.map(({ hash, values }, i) => ({
        hash,
        values: i === 1 ? flipped(values, values.length - 1) : values,
      })),
    ),
  ],
  [
    "with two values exchanged",
    P256,
    showingBanks((banks) =>
      banks.map(({ hash, values }) => ({
        hash,
        values: concat(values.subarray(32, 64), values.subarray(0, 32), values.subarray(64)),
      })),
    ),
  ],
  [
    "that are all zero",
    P384,
    showingBanks((banks) =>
      banks.map(({ hash, values }) => ({ hash, values: new Uint8Array(values.length) })),
    ),
  ],
  ["under a digest by SHA-1", RSASSA, digested("sha1")],
  ["under a digest by the bank's hash in place of the scheme's", RSAPSS, digested("sha384")],
  [
    "of a SHA-384 bank under a digest by SHA-384, where the scheme's hash is SHA-256",
    P256,
    digested("sha384", undefined, [{ hash: "sha384", pcrs: BOOT_PCRS }]),
  ],
  [
    "of a SHA-256 bank under a digest by SHA-256, where the scheme's hash is SHA-384",
    P384,
    digested("sha256", undefined, [{ hash: "sha256", pcrs: BOOT_PCRS }]),
  ],
  [
    "under a digest in the other order of the banks",
    RSAPSS,
    digested("sha256", (d) => d.pcrValues(reversed)),
  ],
  [
    "under the digest of the digest",
    P256,
    digested("sha256", (d) => digest("sha256", d.pcrValues(), "buffer")),
  ],
  [
    "under an empty digest",
    P384,
    tampered((f) => ({
      ...f,
      attested: encodeQuoted(P384.device.selection.map(rawSelection), new Uint8Array()),
    })),
  ],
  ["under a digest of no values", RSASSA, digested("sha256", () => new Uint8Array())],
]
attackTests(
  test,
  digests.map(([name, of, forge]) => ({
    name: `Q-10 values ${name}`,
    of,
    forge,
    refusal: spent("PCR_DIGEST"),
  })),
)

test.run()
