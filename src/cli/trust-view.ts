/** How trust is shown, and the words of its options. */
import type { Timestamp } from "@bufbuild/protobuf/wkt"
import { AssayError } from "../errors.ts"
import { type Anchor, AnchorPurpose, AnchorRevocation } from "../gen/assay/v1/trust_pb.ts"
import { fieldLines } from "./output.ts"
import type { Duplicate, Skipped } from "./trust-files.ts"

/** What anchors can be trusted for. */
export const PURPOSES = ["ek", "ak", "any"] as const

/** One of them. */
export type PurposeName = (typeof PURPOSES)[number]

/** How revocation can be checked. */
export const REVOCATIONS = ["require", "when-published", "off"] as const

/** One of them. */
export type RevocationName = (typeof REVOCATIONS)[number]

const PURPOSE_OF: Readonly<Record<PurposeName, AnchorPurpose>> = {
  ek: AnchorPurpose.EK,
  ak: AnchorPurpose.AK,
  any: AnchorPurpose.ANY,
}

const REVOCATION_OF: Readonly<Record<RevocationName, AnchorRevocation>> = {
  require: AnchorRevocation.REQUIRE,
  "when-published": AnchorRevocation.WHEN_PUBLISHED,
  off: AnchorRevocation.OFF,
}

/** Without a name, the one that stands for no purpose. */
export const purposeToProto = (name: PurposeName | undefined): AnchorPurpose =>
  name === undefined ? AnchorPurpose.UNSPECIFIED : PURPOSE_OF[name]

export const revocationToProto = (name: RevocationName): AnchorRevocation => REVOCATION_OF[name]

/** Nothing for what this program does not know. */
export const purposeFromProto = (purpose: AnchorPurpose): PurposeName | null =>
  PURPOSES.find((name) => PURPOSE_OF[name] === purpose) ?? null

/** Nothing for what this program does not know. */
export const revocationFromProto = (mode: AnchorRevocation): RevocationName | null =>
  REVOCATIONS.find((name) => REVOCATION_OF[name] === mode) ?? null

/** An instant in UTC, to the second; nothing for none. */
export const instantOf = (time: Timestamp | undefined): string | null =>
  time === undefined ? null : new Date(Number(time.seconds) * 1000).toISOString()

/** The day of an instant. */
export const dayOf = (instant: string | null): string => instant?.slice(0, "2026-01-01".length) ?? ""

const SHORT_DIGITS = 16

/** Enough of an id to tell it from others, and for commands to take it. */
export const shortId = (id: string): string => id.slice(0, SHORT_DIGITS)

/** What a server said to an import; nothing if it was not asked. */
export type ImportAnswer =
  | { readonly generation: bigint; readonly added: bigint; readonly changed: bigint }
  | undefined

/** The numbers of an answer, as JSON has them. */
export const answered = (answer: ImportAnswer) => ({
  generation: answer === undefined ? null : Number(answer.generation),
  added: answer === undefined ? null : Number(answer.added),
  changed: answer === undefined ? null : Number(answer.changed),
})

/** What became of an import, for people. */
export const answerLines = (answer: ImportAnswer): string[] =>
  answer === undefined
    ? ["Nothing was imported: a dry run."]
    : fieldLines([
        ["new", String(answer.added)],
        [
          "changed",
          `${answer.changed}${answer.changed > 0n ? ": anchors that have other settings now" : ""}`,
        ],
        ["generation", String(answer.generation)],
      ])

/** What was found and not imported, for people. */
export const leftOutLines = (duplicates: readonly Duplicate[], skipped: readonly Skipped[]): string[] => [
  ...fieldLines(duplicates.map(({ file, of }) => ["duplicate", `${file} is ${of} again`])),
  ...fieldLines(skipped.map(({ path, reason }) => ["skipped", `${path}: ${reason}`])),
]

/** An anchor, without its certificate. */
export const anchorJson = (anchor: Anchor) => ({
  id: anchor.id,
  label: anchor.label,
  purpose: purposeFromProto(anchor.purpose),
  revocation: revocationFromProto(anchor.revocation),
  provenance: anchor.provenance,
  subject: anchor.subject,
  notBefore: instantOf(anchor.notBefore),
  notAfter: instantOf(anchor.notAfter),
  addedAt: instantOf(anchor.createTime),
})

/** An id, or its first digits. @throws {AssayError} INPUT. */
export const parseId = (text: string): string => {
  if (/^[0-9a-f]{8,64}$/i.test(text)) return text.toLowerCase()
  throw new AssayError("INPUT", "that is no id: see assay trust list", {
    location: "ID",
    expected: "64 hexadecimal digits, or the first 8 or more of them",
    actual: text,
  })
}
