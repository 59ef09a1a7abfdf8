import { isScalar, Lexer, LineCounter, parseDocument, visit, type Document as YamlDocument } from "yaml"
import { z } from "zod"
import { AssayError } from "../errors.ts"
import { HASHES, type HashName } from "../evidence/tpm/algorithm.ts"
import { PCR_COUNT } from "../evidence/tpm/selection.ts"
import { VENDOR_NAMES } from "../verification/advisory.ts"

/** Banks that can satisfy a requirement. SHA-1 is not one of them. */
const BANKS = ["sha256", "sha384", "sha512"] as const
const bank = z.enum(BANKS)
const pcr = z
  .int()
  .min(0)
  .max(PCR_COUNT - 1)
  .refine((index) => !Object.is(index, -0), "a PCR from 0 to 23")
const PCRS = Array.from({ length: PCR_COUNT }, (_, index) => String(index))
const unique = <T>(items: readonly T[]): boolean => new Set(items).size === items.length

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/
const AUDIENCE = /^[!-~]{1,255}$/
/** Of the registry, or as a certificate writes one that is not in it: `id:41535359`. */
const manufacturer = z
  .string()
  .refine(
    (name) => VENDOR_NAMES.has(name) || /^id:[0-9A-Fa-f]{8}$/.test(name),
    "a name of the TCG vendor registry, as IFX, or id: and eight digits",
  )
/** 16 hexadecimal digits, as `assay inspect quote` prints it. */
const FIRMWARE_VERSION = /^[0-9a-f]{16}$/

/** PCR values that belong together, of one bank or of several. A quote matches a set as a whole or not at all. */
const bankReferences = (hash: HashName) => {
  const value = z
    .string()
    .regex(/^[0-9a-f]*$/, "lowercase hexadecimal")
    .length(2 * HASHES[hash].sizeBytes)
    .optional()
  // Not a record: that would pass over a key named __proto__ in silence.
  return z
    .strictObject(Object.fromEntries(PCRS.map((index) => [index, value])))
    .refine((pcrs) => Object.keys(pcrs).length > 0, "a bank without any PCR")
    .optional()
}

const referenceSet = z.strictObject({
  name: z.string().regex(NAME),
  pcrs: z
    .strictObject({
      sha256: bankReferences("sha256"),
      sha384: bankReferences("sha384"),
      sha512: bankReferences("sha512"),
    })
    .refine((banks) => Object.keys(banks).length > 0, "a reference set without any bank"),
})

const schema = z.strictObject({
  /** Of this schema. */
  version: z.literal(1),
  name: z.string().regex(NAME),
  evidence: z.strictObject({
    /** Each of these banks must be quoted, with every PCR of `pcrs`. */
    banks: z.array(bank).min(1).refine(unique, "a bank twice"),
    pcrs: z.array(pcr).min(1).refine(unique, "a PCR twice"),
    eventLog: z.enum(["required", "optional"]),
    /** What the presence of a SHA-1 bank in the quote means. It never satisfies anything. */
    sha1Bank: z.enum(["refused", "tolerated"]).default("refused"),
    /** What a boot PCR (0 to 7) still at its reset value means. */
    unextendedBootPcrs: z.enum(["refused", "tolerated"]).default("refused"),
    /** The quote's extraData is the relying party's nonce itself. Such a device gets no session. */
    rawNonce: z.boolean().default(false),
  }),
  /** The quote must match one of these sets, all of its PCRs at once. */
  references: z
    .array(referenceSet)
    .min(1)
    .refine((sets) => unique(sets.map((set) => set.name)), "a set's name twice"),
  ak: z
    .strictObject({
      /** `proven`: only a key bound to its TPM by activation or certificate. `operator`: the operator's word will do. */
      binding: z.enum(["proven", "operator"]).default("proven"),
      schemes: z
        .array(z.enum(["rsassa", "rsapss", "ecdsa"]))
        .min(1)
        .optional(),
      hashes: z.array(bank).min(1).optional(),
    })
    .prefault({}),
  ek: z
    .strictObject({
      /** Whether the endorsement key has to have a certificate that leads to a trust anchor, or be on the list. */
      certificate: z.enum(["required", "optional"]).default("optional"),
      /** What a certificate past its notAfter means; the CAs above must have been valid when it was issued. */
      expired: z.enum(["refused", "warned", "allowed"]).default("refused"),
    })
    .prefault({}),
  tpm: z
    .strictObject({
      /** The TPM's manufacturer, as the TCG vendor registry spells it (`IFX`), must be one of these. */
      manufacturers: z.array(manufacturer).min(1).refine(unique, "a manufacturer twice").optional(),
      /** What published weaknesses of the TPM's make and firmware mean. */
      advisories: z.enum(["refused", "warned", "ignored"]).default("warned"),
      /** The device's firmwareVersion must be one of these. For keys of the endorsement hierarchy only. */
      firmwareVersions: z.array(z.string().regex(FIRMWARE_VERSION)).min(1).optional(),
      /** What a firmwareVersion other than the one first seen means. */
      firmwareChange: z.enum(["refused", "warned", "ignored"]).default("warned"),
    })
    .prefault({}),
  clock: z
    .strictObject({
      /** What safe = NO means: the TPM lost power without being shut down. */
      unsafe: z.enum(["refused", "warned", "ignored"]).default("warned"),
      /** How many resets may lie between two attestations of a device. */
      resetsMax: z.int().min(0).max(0x7fffffff).optional(),
    })
    .prefault({}),
  session: z.strictObject({
    lifetimeSeconds: z.int().min(10).max(86_400),
    /** The worst tier that is let in. */
    admit: z.enum(["affirming", "warning"]).default("affirming"),
    audiences: z.array(z.string().regex(AUDIENCE)).min(1).refine(unique, "an audience twice"),
  }),
})

type Document = z.infer<typeof schema>

/** One value of a reference set as the document spells it, in lowercase hexadecimal. The compiled rule has it as bytes, which cannot be frozen. */
export interface ReferenceValue {
  readonly bank: HashName
  readonly pcr: number
  readonly value: string
}

/** A set of PCR values that belong together. */
export interface ReferenceSet {
  readonly name: string
  readonly values: readonly ReferenceValue[]
}

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T

/** An appraisal policy for evidence (RFC 9334), checked and frozen. */
export interface Policy extends DeepReadonly<Omit<Document, "references">> {
  readonly references: readonly ReferenceSet[]
}

const DOCUMENT_CHARACTERS_MAX = 262_144
/** What YAML is made of, spaces included: a policy of that many characters has half as many, and each costs time. */
const DOCUMENT_TOKENS_MAX = 40_000

/**
 * Parses a policy document, YAML 1.2 (core schema, no aliases, no tags of others) or JSON. An empty document, an empty
 * list, an unknown key and a value of another type are refused with their path: nothing is assumed that is not written.
 *
 * @throws {AssayError} POLICY_SCHEMA; `location` is the path of the fault, or its line and column if it is no YAML.
 */
export function parsePolicy(document: string): Policy {
  if (document.length > DOCUMENT_CHARACTERS_MAX)
    throw new AssayError("POLICY_SCHEMA", "the policy document is too long", {
      location: WHOLE_DOCUMENT,
      expected: `at most ${DOCUMENT_CHARACTERS_MAX} characters`,
      actual: String(document.length),
    })
  const parsed = schema.safeParse(readYaml(document))
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => ({
      path: path.length === 0 ? WHOLE_DOCUMENT : path.join("."),
      message,
    }))
    throw new AssayError(
      "POLICY_SCHEMA",
      faults.map(({ path, message }) => `${path}: ${message}`).join("; "),
      {
        location: faults[0]?.path ?? WHOLE_DOCUMENT,
      },
    )
  }
  return deepFreeze({ ...parsed.data, references: parsed.data.references.map(toReferenceSet) })
}

const WHOLE_DOCUMENT = "(document)"

/** What the parser of YAML only warns of, such as a tag that it does not know, is a fault too. */
const readYaml = (document: string): unknown => {
  let tokens = 0
  for (const _ of new Lexer().lex(document))
    if (++tokens > DOCUMENT_TOKENS_MAX) throw yamlError("the policy document has too many parts")
  const lineCounter = new LineCounter()
  // The library compares each key with each other one.
  const yaml = parseDocument(document, { schema: "core", uniqueKeys: false, lineCounter })
  const [fault] = [...yaml.errors, ...yaml.warnings]
  if (fault !== undefined) throw yamlError(fault.message, fault.linePos?.[0])
  checkUnique(yaml, lineCounter)
  if (yaml.directives?.yaml.version !== "1.2") throw yamlError("not YAML 1.2")
  try {
    return yaml.toJS({ maxAliasCount: 0 })
  } catch (cause) {
    throw yamlError(cause instanceof Error ? cause.message : "not readable")
  }
}

/** 7 and "7" are one member of a JSON object: the second would silently win. @throws {AssayError} POLICY_SCHEMA. */
const checkUnique = (yaml: YamlDocument, lines: LineCounter): void => {
  visit(yaml, {
    Map(_, { items }) {
      const names = new Set<string>()
      for (const { key } of items) {
        if (!isScalar(key)) continue
        const name = String(key.value)
        if (names.has(name)) throw yamlError("Map keys must be unique", lines.linePos(key.range?.[0] ?? 0))
        names.add(name)
      }
    },
  })
}

const yamlError = (message: string, place?: { readonly line: number; readonly col: number }): AssayError => {
  return new AssayError("POLICY_SCHEMA", message.split(/ at line |\n/, 1)[0] ?? message, {
    location: place === undefined ? WHOLE_DOCUMENT : `line ${place.line}, column ${place.col}`,
  })
}

const toReferenceSet = ({ name, pcrs }: Document["references"][number]): ReferenceSet => ({
  name,
  values: BANKS.flatMap((bank) =>
    Object.entries(pcrs[bank] ?? {}).flatMap(([pcr, value]) =>
      value === undefined ? [] : [{ bank, pcr: Number(pcr), value }],
    ),
  ),
})

const deepFreeze = <T>(value: T): T => {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const member of Object.values(value)) deepFreeze(member)
  }
  return value
}
