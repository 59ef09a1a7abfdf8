/** Q-08 and the reset-value half of Q-09 against the whole service: banks that prove too little. */
import { hash as digest } from "node:crypto"
import { suite } from "uvu"
import { type BootEvent, standardBoot } from "../../src/device/boot.ts"
import { encodeCryptoAgileLog, type LogRecord } from "../../src/device/eventlog.ts"
import type { SoftwareDevice, SoftwareDeviceOptions } from "../../src/device/software.ts"
import type { HashName } from "../../src/evidence/tpm/algorithm.ts"
import type { PcrSelection } from "../../src/evidence/tpm/selection.ts"
import { attackTests, type Refusal, spent } from "../support/attack.ts"
import { BOOT_PCRS } from "../support/core.ts"
import {
  answeredBy,
  attackedDevice,
  P256,
  P384,
  quoting,
  RSAPSS,
  RSASSA,
  type Victim,
  victimOf,
  withReleases,
} from "../support/victim.ts"
import { referenceValues } from "../support/world.ts"

const test = suite("attacks by weak banks")

// SHA-1 where a strong bank is due.

const boot = (hash: HashName, pcrs: readonly number[] = BOOT_PCRS): PcrSelection => ({ hash, pcrs })
const tolerant = victimOf("tolerant", "P-521", attackedDevice({ algorithm: "p521" }), {
  evidence: { sha1Bank: "tolerated" },
})
const alone = spent("PCR_BANK", "NO_REFERENCE", "EVENT_LOG_BANK")
const selections: [name: string, of: Victim, selection: readonly PcrSelection[], refusal: Refusal][] = [
  ["SHA-1 alone", RSASSA, [boot("sha1")], alone],
  [
    "SHA-1 alone, all 24 PCRs of it",
    P384,
    [
      boot(
        "sha1",
        Array.from({ length: 24 }, (_, i) => i),
      ),
    ],
    alone,
  ],
  ["SHA-1 alone, where the policy tolerates its presence", tolerant, [boot("sha1")], alone],
  ["SHA-1 behind all that is required", P256, [boot("sha256"), boot("sha1")], spent("PCR_BANK")],
  ["SHA-1 before all that is required", P384, [boot("sha1"), boot("sha384")], spent("PCR_BANK")],
  [
    "one PCR of SHA-1 beside all that is required",
    RSASSA,
    [boot("sha256"), boot("sha1", [16])],
    spent("PCR_BANK"),
  ],
  ["SHA-1 and a bank that nobody asked for", P256, [boot("sha1"), boot("sha384")], alone],
  ["SHA-1 in place of the stronger of two banks", RSAPSS, [boot("sha256"), boot("sha1")], alone],
  ["the weaker of two required banks", RSAPSS, [boot("sha256")], alone],
  [
    "SHA-1 for the one PCR that the strong bank lacks",
    P256,
    [boot("sha256", BOOT_PCRS.slice(0, 7)), boot("sha1", [7])],
    spent("PCR_BANK", "PCR_SELECTION", "NO_REFERENCE"),
  ],
]
attackTests(
  test,
  selections.map(([name, of, selection, refusal]) => ({
    name: `Q-08 a quote over ${name}`,
    of,
    forge: quoting({ selection }),
    refusal,
  })),
)

// a boot PCR still at its reset value. The policy knows the values as a release: nothing else stands in the way.

const without = (pcr: number): readonly BootEvent[] => standardBoot().filter((event) => event.pcr !== pcr)

/** Extends one bank alone, as firmware does that knows no other, and gives its log. */
const measureInto = (device: SoftwareDevice, bank: HashName): Uint8Array => {
  const records = standardBoot().map(({ pcr, type, data, measured = data }): LogRecord => {
    const digests = new Map([[bank, digest(bank, measured, "buffer")]])
    device.extend(pcr, digests)
    return { pcr, type, digests, data }
  })
  return encodeCryptoAgileLog([bank], records)
}

/** Extends PCRs of one bank with whatever an attacker likes, and nothing into the other. */
const forgeInto = (device: SoftwareDevice, bank: HashName, pcrs: readonly number[]): void => {
  for (const pcr of pcrs) device.extend(pcr, new Map([[bank, digest(bank, `forged ${pcr}`, "buffer")]]))
}

interface Weakness {
  readonly label: string
  readonly device: SoftwareDeviceOptions
  readonly banks: readonly HashName[]
  /** Brings a device that measured nothing into the state that it attests; gives the log to show in place of its own. */
  readonly make: (weak: SoftwareDevice) => Uint8Array | "its own" | "none"
}

const rsassa = { label: "RSA-2048 RSASSA", device: { algorithm: "rsa-2048" }, banks: ["sha256"] } as const
const p256 = { label: "P-256", device: { algorithm: "p256" }, banks: ["sha256"] } as const
const p384 = { label: "P-384", device: { algorithm: "p384" }, banks: ["sha384"] } as const
const rsapss = {
  label: "RSA-2048 RSAPSS",
  device: { algorithm: "rsa-2048", scheme: "rsapss" },
  banks: ["sha256", "sha384"],
} as const
const booting =
  (...[events, options]: Parameters<SoftwareDevice["boot"]>): Weakness["make"] =>
  (weak) => {
    weak.boot(events, options)
    return "its own"
  }

const weaknesses: [name: string, weakness: Weakness][] = [
  ["a bank that no firmware ever extended", { ...rsassa, make: booting([]) }],
  ["a SHA-384 bank that no firmware ever extended", { ...p384, make: booting([]) }],
  ["two banks that no firmware ever extended", { ...rsapss, make: booting([]) }],
  ["a boot that never extended PCR 0", { ...rsapss, make: booting(without(0)) }],
  ["a boot that never extended PCR 4", { ...p256, make: booting(without(4)) }],
  ["a boot that never extended PCR 6", { ...rsassa, make: booting(without(6)) }],
  ["a boot that never extended PCR 7", { ...p384, make: booting(without(7)) }],
  ...([3, 4] as const).map((startupLocality): [string, Weakness] => [
    `a PCR 0 that holds nothing but the startup locality ${startupLocality}`,
    {
      ...(startupLocality === 3 ? p256 : p384),
      make: (weak) => {
        weak.boot(without(0), { startupLocality })
        return "none"
      },
    },
  ]),
  [
    "the second of two required banks, left alone by firmware that says so in its log",
    { ...rsapss, make: (weak) => measureInto(weak, "sha256") },
  ],
  [
    "the first of two required banks, left alone by firmware, without a log",
    {
      ...rsapss,
      make: (weak) => {
        measureInto(weak, "sha384")
        return "none"
      },
    },
  ],
  [
    "a bank in which an attacker extended all boot PCRs but one",
    {
      ...rsapss,
      make: (weak) => {
        measureInto(weak, "sha256")
        forgeInto(weak, "sha384", BOOT_PCRS.slice(0, 7))
        return "none"
      },
    },
  ],
]
for (const [name, { label, device, banks, make }] of weaknesses) {
  const selection = banks.map((hash) => boot(hash))
  const [honest, weak] = [{}, { events: [] }].map((events) =>
    attackedDevice({ ...device, banks, selection, ...events }),
  )
  if (honest === undefined || weak === undefined) throw new TypeError("two devices were made")
  const eventLog = make(weak)
  const of = victimOf("half-measured", label, honest, { banks, evidence: { eventLog: "optional" } })
  const releases = [honest, weak].map((each, i) => ({
    name: `release-${i}`,
    pcrs: referenceValues(each, banks, BOOT_PCRS),
  }))
  attackTests(test, [
    {
      name: `Q-09 ${name}`,
      of: { ...of, policy: withReleases(of.policy ?? "", releases) },
      forge: (attempt) => {
        const { evidence, ...input } = answeredBy(weak)(attempt)
        const shown = { none: undefined, "its own": evidence.eventLog }
        return {
          ...input,
          evidence: { ...evidence, eventLog: typeof eventLog === "string" ? shown[eventLog] : eventLog },
        }
      },
      refusal: spent("PCR_BANK"),
    },
  ])
}

test.run()
