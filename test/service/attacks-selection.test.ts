/** against the whole service: which PCRs were quoted, and which values are shown. */
import { hash as digest } from "node:crypto"
import { suite } from "uvu"
import { concat } from "../../src/bytes.ts"
import { encodeQuoted, type RawSelection, rawSelection } from "../../src/device/encode.ts"
import type { RawPcrBank } from "../../src/evidence/evidence.ts"
import { HASHES, type HashName } from "../../src/evidence/tpm/algorithm.ts"
import type { PcrSelection } from "../../src/evidence/tpm/selection.ts"
import { type Attack, attackTable, malformed, spent } from "../support/attack.ts"
import { BOOT_PCRS } from "../support/core.ts"
import {
  type Attempt,
  P256,
  P384,
  quoting,
  RSAPSS,
  RSASSA,
  showing,
  showingBanks,
  type Victim,
} from "../support/victim.ts"

const test = suite("attacks on the selection")

const boot = (hash: HashName, pcrs: readonly number[] = BOOT_PCRS): PcrSelection => ({ hash, pcrs })
const raw = (hash: HashName, ...bitmap: readonly number[]): RawSelection => ({
  hash: HASHES[hash].id,
  bitmap: Uint8Array.from(bitmap),
})
const NOTHING: readonly [number, number, number] = [0, 0, 0]

/** A quote that says `select`, under the digest of all values that are shown or of none, beside the honest values. */
const selecting =
  (select: readonly RawSelection[], over: "all" | "none" = "all") =>
  (attempt: Attempt) => {
    const { device } = attempt
    const values = over === "all" ? device.pcrValues() : new Uint8Array()
    const pcrDigest = digest(device === P384.device ? "sha384" : "sha256", values, "buffer")
    return quoting({ tamper: (fields) => ({ ...fields, attested: encodeQuoted(select, pcrDigest) }) })(
      attempt,
    )
  }
/** The same with other values beside it. */
const beside =
  (forge: (attempt: Attempt) => ReturnType<ReturnType<typeof quoting>>, pcrBanks: readonly RawPcrBank[]) =>
  (attempt: Attempt) => {
    const { evidence, ...input } = forge(attempt)
    return { ...input, evidence: { ...evidence, pcrBanks } }
  }
const values = ({ device }: Victim, ...selection: readonly PcrSelection[]): readonly RawPcrBank[] =>
  selection.map((bank) => ({ hash: bank.hash, values: device.pcrValues([bank]) }))

attackTable(test, "Q-03", spent("PCR_SELECTION"), [
  ["a quote over no bank at all", RSASSA, selecting([], "none")],
  ["a quote over no bank at all, with the digest of all values", P256, selecting([])],
  ["a quote over no bank at all, without values", P384, beside(selecting([], "none"), [])],
  ["a quote over one bank without any PCR", RSAPSS, selecting([raw("sha256", ...NOTHING)], "none")],
  [
    "a quote over one bank without any PCR, without values",
    RSASSA,
    beside(selecting([raw("sha256", ...NOTHING)], "none"), []),
  ],
  [
    "a quote over two banks without any PCR",
    RSAPSS,
    selecting([raw("sha256", ...NOTHING), raw("sha384", ...NOTHING)]),
  ],
  ["a quote over SHA-1 without any PCR", P256, selecting([raw("sha1", ...NOTHING)], "none")],
  ["a quote over a bank that the TPM lacks", P384, beside(quoting({ selection: [boot("sha512")] }), [])],
])

const lacking = spent("PCR_SELECTION", "NO_REFERENCE")
const unquoted = spent("PCR_UNQUOTED")
const leftOut = (hash: HashName, pcr: number) =>
  boot(
    hash,
    BOOT_PCRS.filter((one) => one !== pcr),
  )
/** The selection without a PCR whose value is shown all the same. */
const stillShowing = (of: Victim, selection: readonly PcrSelection[]): Attack["forge"] =>
  beside(quoting({ selection }), values(of, ...of.device.selection))
attackTable(test, "Q-04", lacking, [
  ["a quote without PCR 0", RSASSA, quoting({ selection: [leftOut("sha256", 0)] })],
  ["a quote without PCR 4", P256, quoting({ selection: [leftOut("sha256", 4)] })],
  ["a quote without PCR 7", P384, quoting({ selection: [leftOut("sha384", 7)] })],
  [
    "a quote without PCR 7 in the second bank",
    RSAPSS,
    quoting({ selection: [boot("sha256"), leftOut("sha384", 7)] }),
  ],
  [
    "a quote over PCR 8 in place of PCR 7",
    RSASSA,
    quoting({ selection: [boot("sha256", [0, 1, 2, 3, 4, 5, 6, 8])] }),
  ],
  [
    "a quote with PCR 7 in another bank only",
    P256,
    quoting({ selection: [leftOut("sha256", 7), boot("sha384", [7])] }),
  ],
  ["a quote over PCR 23 alone", P384, quoting({ selection: [boot("sha384", [23])] })],
  [
    "a quote without PCR 7, whose value is shown",
    RSASSA,
    stillShowing(RSASSA, [leftOut("sha256", 7)]),
    unquoted,
  ],
  [
    "a quote without PCR 4 in the second bank, whose value is shown",
    RSAPSS,
    stillShowing(RSAPSS, [boot("sha256"), leftOut("sha384", 4)]),
    unquoted,
  ],
])

/** Values beside the honest ones: they are genuine, and the log leads to them. */
const riding = (of: Victim, ...more: readonly PcrSelection[]): Attack["forge"] =>
  showing(({ pcrBanks }) => ({ pcrBanks: [...pcrBanks, ...values(of, ...more)] }))
attackTable(test, "Q-05", unquoted, [
  [
    "genuine values of PCR 8 and 9, to which the log leads",
    RSASSA,
    showing(() => ({ pcrBanks: values(RSASSA, boot("sha256", [...BOOT_PCRS, 8, 9])) })),
  ],
  [
    "values of all 24 PCRs",
    P256,
    showingBanks((banks) =>
      banks.map(({ hash, values: own }) => ({ hash, values: concat(own, new Uint8Array(16 * 32)) })),
    ),
  ],
  [
    "one value more in the second bank",
    RSAPSS,
    showingBanks((banks) =>
      banks.map((bank, i) =>
        i === 0 ? bank : { hash: bank.hash, values: concat(bank.values, new Uint8Array(48)) },
      ),
    ),
  ],
  ["genuine values of another bank", P256, riding(P256, boot("sha384"))],
  [
    "genuine values of another bank before its own",
    P384,
    showing(({ pcrBanks }) => ({ pcrBanks: [...values(P384, boot("sha256")), ...pcrBanks] })),
  ],
  ["genuine values of the SHA-1 bank", RSASSA, riding(RSASSA, boot("sha1"))],
  [
    "one value of a bank that the TPM lacks",
    RSAPSS,
    showingBanks((banks) => [...banks, { hash: "sha512", values: new Uint8Array(64) }]),
  ],
  [
    "values of a bank that was quoted without any PCR",
    P256,
    beside(
      quoting({ selection: [boot("sha256"), boot("sha384", [])] }),
      values(P256, boot("sha256"), boot("sha384", [0])),
    ),
  ],
])

attackTable(test, "Q-06", spent("PCR_SELECTION"), [
  [
    "one value less than was quoted",
    RSASSA,
    showing(() => ({ pcrBanks: values(RSASSA, leftOut("sha256", 7)) })),
  ],
  ["one value alone", P384, showing(() => ({ pcrBanks: values(P384, boot("sha384", [0])) }))],
  ["no bank at all", P256, showing(() => ({ pcrBanks: [] }))],
  ["the first of two banks alone", RSAPSS, showingBanks((banks) => banks.slice(0, 1))],
  ["the second of two banks alone", RSAPSS, showingBanks((banks) => banks.slice(1))],
  ["the values of another bank", P256, showing(() => ({ pcrBanks: values(P256, boot("sha384")) }))],
  [
    "its values under the name of another bank",
    RSASSA,
    showingBanks((banks) => banks.map(({ values: own }) => ({ hash: "sha512", values: own }))),
  ],
  [
    "values for PCR 0 to 7 beside a quote over PCR 0 to 9",
    P384,
    beside(quoting({ selection: [boot("sha384", [...BOOT_PCRS, 8, 9])] }), values(P384, boot("sha384"))),
  ],
])

const twice = malformed("FIELD")
attackTable(test, "Q-07", malformed("PCR_SELECTION_MALFORMED"), [
  [
    "one bank twice, each with half of the PCRs",
    RSASSA,
    selecting([raw("sha256", 0x0f, 0, 0), raw("sha256", 0xf0, 0, 0)]),
  ],
  [
    "one bank twice with the same PCRs",
    P384,
    selecting([raw("sha384", 0xff, 0, 0), raw("sha384", 0xff, 0, 0)]),
  ],
  [
    "one bank twice, with another between",
    RSAPSS,
    selecting([raw("sha256", 0xff, 0, 0), raw("sha384", 0xff, 0, 0), raw("sha256", 0, 0, 0)]),
  ],
  ["a bitmap of no byte", P256, selecting([raw("sha256")])],
  ["a bitmap of two bytes", RSASSA, selecting([raw("sha256", 0xff, 0)])],
  ["a bitmap of four bytes", P384, selecting([raw("sha384", 0xff, 0, 0, 0)])],
  ["PCR 24", P256, selecting([raw("sha256", 0xff, 0, 0, 1)])],
  [
    "PCR 31, in the second bank",
    RSAPSS,
    selecting([raw("sha256", 0xff, 0, 0), raw("sha384", 0xff, 0, 0, 0x80)]),
  ],
  ["a bank of SM3", P256, selecting([{ ...rawSelection(boot("sha256")), hash: 0x0012 }])],
  ["the values of one bank twice", RSASSA, showingBanks((banks) => [...banks, ...banks]), twice],
  [
    "the values of one bank twice, one of them changed, with another between",
    RSAPSS,
    showingBanks(([a, b]) => (a && b ? [a, b, { hash: a.hash, values: new Uint8Array(256) }] : [])),
    twice,
  ],
])

test.run()
