/** P-02 and P-05 against the whole service: missing reference values, and states that are half of two releases. */
import { hash as digest } from "node:crypto"
import { suite } from "uvu"
import { utf8 } from "../../src/bytes.ts"
import { type BootEvent, EV_EFI_ACTION, standardBoot } from "../../src/device/boot.ts"
import { encodeCryptoAgileLog, type LogRecord } from "../../src/device/eventlog.ts"
import type { SoftwareDevice, SoftwareDeviceOptions } from "../../src/device/software.ts"
import type { HashName } from "../../src/evidence/tpm/algorithm.ts"
import { attackTests, spent } from "../support/attack.ts"
import { BOOT_PCRS } from "../support/core.ts"
import { answeredBy, attackedDevice, type Release, victimOf, withReleases } from "../support/victim.ts"
import { type PolicyOptions, referenceValues } from "../support/world.ts"

const test = suite("attacks on reference values")

// P-02: a requirement without a reference value, and a reference value without a quoted PCR.

const NINE = [...BOOT_PCRS, 9]
interface Terms {
  readonly label: string
  readonly device: SoftwareDeviceOptions
  /** What it quotes. */
  readonly quoted: readonly (readonly [HashName, readonly number[]])[]
  /** What is required. */
  readonly policy: PolicyOptions
  /** What there are values for, set by set. */
  readonly references: readonly (readonly (readonly [HashName, readonly number[]])[])[]
}
const rsassa = { label: "RSA-2048 RSASSA", device: { algorithm: "rsa-2048" } } as const
const rsapss = { label: "RSA-2048 RSAPSS", device: { algorithm: "rsa-2048", scheme: "rsapss" } } as const
const p256 = { label: "P-256", device: { algorithm: "p256" } } as const
const p384 = { label: "P-384", device: { algorithm: "p384" } } as const
const both = { banks: ["sha256", "sha384"] } as const

const missing: readonly [name: string, terms: Terms][] = [
  [
    "a required PCR without a value",
    { ...p256, quoted: [["sha256", NINE]], policy: { pcrs: NINE }, references: [[["sha256", BOOT_PCRS]]] },
  ],
  [
    "a required PCR that is all zero, without a value",
    {
      ...p384,
      quoted: [["sha384", [...BOOT_PCRS, 16]]],
      policy: { banks: ["sha384"], pcrs: [...BOOT_PCRS, 16] },
      references: [[["sha384", BOOT_PCRS]]],
    },
  ],
  [
    "a required bank without values",
    {
      ...rsapss,
      quoted: [
        ["sha256", BOOT_PCRS],
        ["sha384", BOOT_PCRS],
      ],
      policy: both,
      references: [[["sha256", BOOT_PCRS]]],
    },
  ],
  [
    "one PCR of the second of two required banks without a value",
    {
      ...rsapss,
      quoted: [
        ["sha256", BOOT_PCRS],
        ["sha384", BOOT_PCRS],
      ],
      policy: both,
      references: [
        [
          ["sha256", BOOT_PCRS],
          ["sha384", BOOT_PCRS.slice(1)],
        ],
      ],
    },
  ],
  [
    "two sets that each lack another required PCR",
    {
      ...rsassa,
      quoted: [["sha256", BOOT_PCRS]],
      policy: {},
      references: [[["sha256", BOOT_PCRS.slice(1)]], [["sha256", BOOT_PCRS.slice(0, 7)]]],
    },
  ],
  [
    "two sets, one for each of two required banks",
    {
      ...rsapss,
      quoted: [
        ["sha256", BOOT_PCRS],
        ["sha384", BOOT_PCRS],
      ],
      policy: both,
      references: [[["sha256", BOOT_PCRS]], [["sha384", BOOT_PCRS]]],
    },
  ],
  [
    "a value for a PCR that was not quoted",
    { ...p256, quoted: [["sha256", BOOT_PCRS]], policy: {}, references: [[["sha256", NINE]]] },
  ],
  [
    "a value of zeros for a PCR that was not quoted",
    {
      ...p384,
      quoted: [["sha384", BOOT_PCRS]],
      policy: { banks: ["sha384"] },
      references: [[["sha384", [...BOOT_PCRS, 16]]]],
    },
  ],
  [
    "values for a bank that was not quoted",
    {
      ...rsassa,
      quoted: [["sha256", BOOT_PCRS]],
      policy: {},
      references: [
        [
          ["sha256", BOOT_PCRS],
          ["sha384", BOOT_PCRS],
        ],
      ],
    },
  ],
]
const releaseOf = (name: string, device: SoftwareDevice, banks: Terms["quoted"]): Release => ({
  name,
  pcrs: Object.assign({}, ...banks.map(([hash, pcrs]) => referenceValues(device, [hash], pcrs))),
})
for (const [name, { label, device: options, quoted, policy, references }] of missing) {
  const selection = quoted.map(([hash, pcrs]) => ({ hash, pcrs }))
  const device = attackedDevice({ ...options, selection })
  const of = victimOf("unreferenced", label, device, policy)
  const releases = references.map((banks, i) => releaseOf(`release-${i}`, device, banks))
  attackTests(test, [
    {
      name: `P-02 ${name}`,
      of: { ...of, policy: withReleases(of.policy ?? "", releases), verdict: "NO_REFERENCE" },
      forge: ({ honest }) => honest,
      refusal: spent("NO_REFERENCE"),
    },
  ])
}

// P-05: each value is that of some release, and all of them together of none.

/** A boot that measures something of its own into each of PCR 0 to 7. */
const another = (text: string): readonly BootEvent[] => [
  ...standardBoot(),
  ...BOOT_PCRS.map((pcr) => ({ pcr, type: EV_EFI_ACTION, data: utf8(`${text} ${pcr}`) })),
]
/** The other boot's events for some PCRs, the standard's for the rest. */
const mixed = (pcrs: readonly number[]): readonly BootEvent[] => [
  ...standardBoot().filter(({ pcr }) => !pcrs.includes(pcr)),
  ...another("B").filter(({ pcr }) => pcrs.includes(pcr)),
]
/** Measures one boot into SHA-256 and another into SHA-384, event by event, and gives the log of both. */
const acrossBanks = (
  device: SoftwareDevice,
  a: readonly BootEvent[],
  b: readonly BootEvent[],
): Uint8Array => {
  const records = a.map(({ pcr, type, data, measured = data }, i): LogRecord => {
    const twin = b[i]?.measured ?? b[i]?.data ?? measured
    const digests = new Map<HashName, Uint8Array>([
      ["sha256", digest("sha256", measured, "buffer")],
      ["sha384", digest("sha384", twin, "buffer")],
    ])
    device.extend(pcr, digests)
    return { pcr, type, digests, data }
  })
  return encodeCryptoAgileLog(["sha256", "sha384"], records)
}

interface Mixture {
  readonly label: string
  readonly device: SoftwareDeviceOptions
  readonly banks: readonly HashName[]
  readonly pcrs?: readonly number[]
  /** The releases beside that of the honest device. */
  readonly releases: (make: (events: readonly BootEvent[]) => SoftwareDevice) => readonly SoftwareDevice[]
  readonly events: readonly BootEvent[]
  /** In place of booting `events`. */
  readonly measure?: (device: SoftwareDevice) => Uint8Array
}
const B = (make: (events: readonly BootEvent[]) => SoftwareDevice) => [make(another("B"))]
const TEN = [...BOOT_PCRS, 8, 9]
const otherKernel = { kernel: "kernel B", kernelCommandLine: "B" }
const mixtures: readonly [name: string, mixture: Mixture][] = [
  ["PCR 0 of another release", { ...rsassa, banks: ["sha256"], releases: B, events: mixed([0]) }],
  ["PCR 7 of another release", { ...p256, banks: ["sha256"], releases: B, events: mixed([7]) }],
  [
    "PCR 0 to 3 of one release and 4 to 7 of another",
    { ...p384, banks: ["sha384"], releases: B, events: mixed([4, 5, 6, 7]) },
  ],
  [
    "all PCRs but one of another release",
    { ...rsapss, banks: ["sha256", "sha384"], releases: B, events: mixed(BOOT_PCRS.slice(1)) },
  ],
  [
    "one PCR of each of eight releases",
    {
      ...p256,
      banks: ["sha256"],
      releases: (make) => BOOT_PCRS.map((pcr) => make(mixed([pcr]))),
      events: mixed(BOOT_PCRS),
    },
  ],
  [
    "PCR 0 of a second release and PCR 7 of a third",
    {
      ...rsassa,
      banks: ["sha256"],
      releases: (make) => [make(mixed([0])), make(mixed([7]))],
      events: mixed([0, 7]),
    },
  ],
  [
    "the SHA-256 bank of one release and the SHA-384 bank of another",
    {
      ...rsapss,
      banks: ["sha256", "sha384"],
      releases: (make) => [make(standardBoot({ firmware: "B", bootLoader: "B" }))],
      events: [],
      measure: (device) =>
        acrossBanks(device, standardBoot(), standardBoot({ firmware: "B", bootLoader: "B" })),
    },
  ],
  [
    "the firmware of one release and the kernel of another, which no policy requires",
    {
      ...p384,
      banks: ["sha384"],
      pcrs: TEN,
      releases: (make) => [
        make([...another("B"), ...standardBoot(otherKernel).filter(({ pcr }) => pcr > 7)]),
      ],
      events: standardBoot(otherKernel),
    },
  ],
]
for (const [name, { label, device, banks, pcrs = BOOT_PCRS, releases, events, measure }] of mixtures) {
  const selection = banks.map((hash) => ({ hash, pcrs }))
  const make = (booted: readonly BootEvent[]): SoftwareDevice =>
    attackedDevice({ ...device, banks, selection, events: booted })
  const honest = make(standardBoot())
  const mixture = make(events)
  const eventLog = measure?.(mixture) ?? mixture.eventLog
  const of = victimOf("released", label, honest, { banks })
  const sets = [honest, ...releases(make)].map((each, i) =>
    releaseOf(
      `release-${i}`,
      each,
      banks.map((hash) => [hash, pcrs] as const),
    ),
  )
  attackTests(test, [
    {
      name: `P-05 ${name}`,
      of: { ...of, policy: withReleases(of.policy ?? "", sets) },
      forge: (attempt) => {
        const { evidence, ...input } = answeredBy(mixture)(attempt)
        return { ...input, evidence: { ...evidence, eventLog } }
      },
      refusal: spent("REFERENCE_SET"),
    },
  ])
}

test.run()
