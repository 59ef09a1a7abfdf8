/** Evidence that is nearly what was shown before, for servers that remember. */
import type { Code } from "../../src/errors.ts"
import type { TpmEvidence } from "../../src/gen/assay/v1/evidence_pb.ts"
import { flipped } from "../support/core.ts"
import { logDigest } from "../support/logs.ts"

/** Certificates of the device's key, and of another one. */
export interface Certificates {
  readonly own: readonly Uint8Array[]
  readonly foreign: readonly Uint8Array[]
}

/** The id of its class, what it has, and what it is refused with: nothing where it is as good as the genuine one. */
export type Twin = readonly [
  id: string,
  name: string,
  change: (evidence: TpmEvidence, certificates: Certificates) => Partial<TpmEvidence>,
  code: Code | undefined,
]

const N = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
/** The other signature of the same bytes by the same key: s is as good as n - s. */
const otherSignature = (signature: Uint8Array): Uint8Array => {
  const s = BigInt(`0x${Buffer.from(signature.subarray(-32)).toString("hex")}`)
  const other = Buffer.from((N - s).toString(16).padStart(64, "0"), "hex")
  return Uint8Array.of(...signature.subarray(0, -32), ...other)
}

/** Evidence with a log. */
export const TWINS: readonly Twin[] = [
  [
    "C-02",
    "the other signature of the same quote",
    ({ signature }) => ({ signature: otherSignature(signature) }),
    undefined,
  ],
  [
    "C-02",
    "a certificate that nobody needs",
    (_, { own, foreign }) => ({ akCertificateChain: [...own, ...foreign.slice(1)] }),
    undefined,
  ],
  [
    "C-02",
    "its own certificates, which it need not show",
    (_, { own }) => ({ akCertificateChain: [...own] }),
    undefined,
  ],
  ["C-02", "a byte behind its quote", ({ attest }) => ({ attest: Uint8Array.of(...attest, 0) }), "FRAMING"],
  [
    "C-02",
    "a byte behind its log",
    ({ eventLog }) => ({ eventLog: Uint8Array.of(...eventLog, 1) }),
    "FRAMING",
  ],
  [
    "C-02",
    "a byte behind its issuer's certificate",
    (_, { own }) => ({
      akCertificateChain: own.map((der, i) => Uint8Array.of(...der, ...(i === 1 ? [0] : []))),
    }),
    "TRAILING",
  ],
  [
    "C-02",
    "its log called by its digest",
    ({ eventLog }) => ({ eventLog: new Uint8Array(), eventLogDigest: logDigest(eventLog) }),
    undefined,
  ],
  [
    "C-03",
    "the last byte of its quote in its signature",
    ({ attest, signature }) => ({
      attest: attest.subarray(0, -1),
      signature: Uint8Array.of(attest.at(-1) ?? 0, ...signature),
    }),
    "FRAMING",
  ],
  [
    "C-03",
    "the last byte of its signature in its log",
    ({ signature, eventLog }) => ({
      signature: signature.subarray(0, -1),
      eventLog: Uint8Array.of(signature.at(-1) ?? 0, ...eventLog),
    }),
    "FRAMING",
  ],
  [
    "C-03",
    "the digest of its log as its log",
    ({ eventLog }) => ({ eventLog: logDigest(eventLog) }),
    "LENGTH",
  ],
  [
    "C-03",
    "its log and the digest of it",
    ({ eventLog }) => ({ eventLogDigest: logDigest(eventLog) }),
    "FIELD",
  ],
  [
    "C-03",
    "a digest of its log that is cut off",
    ({ eventLog }) => ({ eventLog: new Uint8Array(), eventLogDigest: logDigest(eventLog).subarray(0, 31) }),
    "FIELD",
  ],
  [
    "C-03",
    "its certificates in one",
    (_, { own }) => ({ akCertificateChain: [Uint8Array.from(own.flatMap((der) => [...der]))] }),
    "TRAILING",
  ],
  [
    "C-05",
    "a bit of its signature flipped",
    ({ signature }) => ({ signature: flipped(signature, 40) }),
    "SIGNATURE",
  ],
  ["C-05", "a bit of its quote flipped", ({ attest }) => ({ attest: flipped(attest, 60) }), "SIGNATURE"],
  [
    "C-05",
    "a bit of its values flipped",
    ({ pcrBanks }) => ({ pcrBanks: pcrBanks.map((bank) => ({ ...bank, values: flipped(bank.values, 3) })) }),
    "PCR_DIGEST",
  ],
  [
    "C-05",
    "a bit of its log flipped",
    ({ eventLog }) => ({ eventLog: flipped(eventLog, eventLog.length - 90) }),
    "EVENT_LOG_REPLAY",
  ],
  ["C-05", "no log", () => ({ eventLog: new Uint8Array() }), "EVENT_LOG_MISSING"],
  [
    "C-05",
    "another device's certificates",
    (_, { foreign }) => ({ akCertificateChain: [...foreign] }),
    "AK_NAME",
  ],
]
