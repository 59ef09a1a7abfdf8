import { z } from "zod"
import { parseData } from "./denied-keys.ts"

/** The TCG TPM Vendor ID Registry, family 1.2 and 2.0, version 1.07: the four octets, and the name that they spell. */
const VENDORS = {
  "414D4400": "AMD",
  "414E5400": "ANT",
  "41544D4C": "ATML",
  "4252434D": "BRCM",
  "4353434F": "CSCO",
  "464C5953": "FLYS",
  "474F4F47": "GOOG",
  "48495349": "HISI",
  "48504500": "HPE",
  "48504900": "HPI",
  "49424D00": "IBM",
  "49465800": "IFX",
  "494E5443": "INTC",
  "4C454E00": "LEN",
  "4D534654": "MSFT",
  "4E534700": "NSG",
  "4E534D20": "NSM",
  "4E544300": "NTC",
  "4E545A00": "NTZ",
  "51434F4D": "QCOM",
  "524F4343": "ROCC",
  "5345414C": "SEAL",
  "53454345": "SECE",
  "534D5343": "SMSC",
  "534D534E": "SMSN",
  "534E5300": "SNS",
  "53544D20": "STM",
  "54584E00": "TXN",
  "57454300": "WEC",
} as const

/** A name of the registry, without its padding. */
export type Vendor = (typeof VENDORS)[keyof typeof VENDORS]

/** The names of the registry. */
export const VENDOR_NAMES: ReadonlySet<string> = new Set(Object.values(VENDORS))

const BY_ID: ReadonlyMap<string, Vendor> = new Map(Object.entries(VENDORS))

/**
 * The registry's name for the manufacturer of an EK certificate, `id:` and eight hexadecimal digits of either case; nothing
 * for another form and for an octet string that is not registered, such as the simulators'.
 *
 * @see TCG EK Credential Profile 2.5, 3.1.2.
 */
export const vendorOf = (id: string): Vendor | undefined =>
  /^id:[0-9A-Fa-f]{8}$/.test(id) ? BY_ID.get(id.slice(3).toUpperCase()) : undefined

/** The firmware versions that a TPM may have, from first to last, as TPMS_ATTEST.firmwareVersion has them: 64 bits. */
export interface FirmwareVersions {
  readonly first: bigint
  readonly last: bigint
}

/** The one version that a quote states. Only keys of the endorsement hierarchy state it unchanged. */
export const firmwareOfQuote = (firmwareVersion: bigint): FirmwareVersions => ({
  first: firmwareVersion,
  last: firmwareVersion,
})

const LOW_32_BITS = 0xffff_ffffn

/**
 * The versions that an EK certificate's attribute allows for. It was written when the TPM was made: updates came later.
 * Eight digits are TPM_PT_FIRMWARE_VERSION_1, `id:00070002` is 7.2; Infineon and STMicroelectronics write four, an octet
 * for each half, `id:053E` is 5.62. Of other forms nothing is known: Nuvoton's `id:130` is no number of any kind.
 */
export function firmwareOfCertificate(version: string): FirmwareVersions | undefined {
  const [, digits] = /^id:([0-9A-Fa-f]{8}|[0-9A-Fa-f]{4})$/.exec(version) ?? []
  if (digits === undefined) return undefined
  const wide = digits.length === 8 ? digits : `00${digits.slice(0, 2)}00${digits.slice(2)}`
  const first = BigInt(`0x${wide}`) << 32n
  return { first, last: first | LOW_32_BITS }
}

const HALF_MAX = 0xffff
const VERSION = /^\d{1,5}(\.\d{1,5}){1,3}$/

/** Two to four decimal numbers of 16 bits; those not written are `rest`. */
const versionNumber = (text: string, rest: number): bigint =>
  Array.from({ length: 4 }, (_, i) => text.split(".")[i] ?? rest).reduce(
    (sum, part) => (sum << 16n) | BigInt(part),
    0n,
  )

const version = z
  .string()
  .regex(VERSION, "major.minor, major.minor.build or all four")
  .refine((text) => text.split(".").every((part) => Number(part) <= HALF_MAX), "16 bits a number")

const rangeSchema = z
  .strictObject({
    manufacturer: z.enum(Object.values(VENDORS)),
    /** Beginnings of the EK certificate's model, without spaces. Without any: every model of the manufacturer. */
    models: z
      .array(z.string().regex(/^[0-9A-Z]+$/))
      .min(1)
      .optional(),
    /** Both inclusive; what is not written of `from` is 0, of `to` the largest. */
    from: version,
    to: version,
    fixedIn: version.optional(),
  })
  .refine(({ from, to }) => versionNumber(from, 0) <= versionNumber(to, HALF_MAX), "from is after to")
  .refine(
    ({ to, fixedIn }) => fixedIn === undefined || versionNumber(fixedIn, 0) > versionNumber(to, HALF_MAX),
    "fixedIn is not after to",
  )

const schema = z.strictObject({
  /** Of this schema. */
  version: z.literal(1),
  advisories: z
    .array(
      z.strictObject({
        id: z.string().regex(/^[A-Za-z][A-Za-z0-9.:-]{2,63}$/),
        title: z.string().min(1),
        severity: z.enum(["low", "medium", "high", "critical"]),
        source: z.url({ protocol: /^https$/ }),
        published: z.iso.date(),
        note: z.string().min(1).optional(),
        affected: z.array(rangeSchema).min(1),
      }),
    )
    .refine((all) => new Set(all.map(({ id }) => id)).size === all.length, "an advisory twice"),
})

type Document = z.infer<typeof schema>

interface Affected extends FirmwareVersions {
  readonly manufacturer: string
  readonly models: readonly string[] | undefined
  readonly fixedIn: string | undefined
}

/** A published weakness of some TPMs. */
export interface Advisory {
  /** As others call it: a CVE id where there is one. */
  readonly id: string
  readonly title: string
  readonly severity: "low" | "medium" | "high" | "critical"
  /** The https address of the vendor's advisory, or of the paper. */
  readonly source: string
}

/** The content of `data/tpm-advisories.json`. */
export type Advisories = readonly (Advisory & { readonly affected: readonly Affected[] })[]

/**
 * Reads a parsed `data/tpm-advisories.json`; `data/README.md` says what is in it.
 *
 * @throws {AssayError} INPUT, with the path of the first fault.
 */
export function parseAdvisories(document: unknown): Advisories {
  const { advisories } = parseData("the list of TPM advisories", schema, document)
  return Object.freeze(
    advisories.map(({ id, title, severity, source, affected }) =>
      Object.freeze({ id, title, severity, source, affected: Object.freeze(affected.map(toAffected)) }),
    ),
  )
}

const toAffected = (range: Document["advisories"][number]["affected"][number]): Affected =>
  Object.freeze({
    manufacturer: range.manufacturer,
    models: range.models,
    first: versionNumber(range.from, 0),
    last: versionNumber(range.to, HALF_MAX),
    fixedIn: range.fixedIn,
  })

/** What is known of a TPM. */
export interface TpmModel {
  /** As `vendorOf` names it. */
  readonly manufacturer: string
  /** As the EK certificate has it. */
  readonly model?: string | undefined
  readonly firmware?: FirmwareVersions | undefined
}

/** An advisory that speaks of this TPM. */
export interface AdvisoryMatch extends Advisory {
  /** The first version without the weakness, as text, where there is one. */
  readonly fixedIn: string | undefined
  /** No model and no version that the TPM may have is outside of the affected range. */
  readonly certain: boolean
}

/**
 * The advisories that speak of a TPM, in the list's order, each once. What is not known of it, such as the model, or the
 * lower half of a version that an EK certificate states, counts as affected, and such a match is not `certain`.
 */
export const advisoriesFor = (advisories: Advisories, tpm: TpmModel): readonly AdvisoryMatch[] =>
  advisories.flatMap(({ id, title, severity, source, affected }) => {
    const ranges = affected.filter((range) => mayBeOf(range, tpm))
    const sure = ranges.find((range) => isOf(range, tpm))
    const range = sure ?? ranges[0]
    if (range === undefined) return []
    return [{ id, title, severity, source, fixedIn: range.fixedIn, certain: sure !== undefined }]
  })

const mayBeOf = (range: Affected, { manufacturer, model, firmware }: TpmModel): boolean =>
  range.manufacturer === manufacturer &&
  (model === undefined || isModelOf(range, model)) &&
  (firmware === undefined || (firmware.first <= range.last && firmware.last >= range.first))

const isOf = (range: Affected, { model, firmware }: TpmModel): boolean =>
  (range.models === undefined || model !== undefined) &&
  firmware !== undefined &&
  firmware.first >= range.first &&
  firmware.last <= range.last

const isModelOf = ({ models }: Affected, model: string): boolean => {
  const name = model.replaceAll(" ", "").toUpperCase()
  return models === undefined || models.some((beginning) => name.startsWith(beginning))
}
