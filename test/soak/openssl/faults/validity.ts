import { utf8 } from "../../../../src/bytes.ts"
import { NOT_AFTER, NOT_BEFORE, seq, time, tlv } from "../../../support/x509.ts"
import { change, valid } from "../chain.ts"
import { later } from "../crl.ts"
import { all, type Fault, inOne } from "./fault.ts"

const DAY = 86_400
const digits = (at: Date): string => at.toISOString().replace(/[-:T]|\.\d+/g, "")
const generalized = (text: string): Uint8Array => tlv(0x18, utf8(text))
const utc = (text: string): Uint8Array => tlv(0x17, utf8(text))

/** A validity from the usual start to an end that is encoded by hand. */
const until = (id: string, end: (notAfter: Date) => Uint8Array): Fault => ({
  id,
  apply: inOne(all, (draft) => change(draft, { validity: seq(time(NOT_BEFORE), end(NOT_AFTER)) })),
})

/** Edges of the validity, and how its times are written. */
export const VALIDITY: readonly Fault[] = [
  {
    id: "expired a day ago",
    apply: inOne(all, (draft, { question }) => valid(draft, NOT_BEFORE, later(question.at, -DAY))),
  },
  {
    id: "expired a second ago",
    apply: inOne(all, (draft, { question }) => valid(draft, NOT_BEFORE, later(question.at, -1))),
  },
  {
    id: "in its last second",
    harmless: true,
    apply: inOne(all, (draft, { question }) => valid(draft, NOT_BEFORE, question.at)),
  },
  {
    id: "in its second to last second",
    harmless: true,
    apply: inOne(all, (draft, { question }) => valid(draft, NOT_BEFORE, later(question.at, 1))),
  },
  {
    id: "valid from tomorrow",
    apply: inOne(all, (draft, { question }) => valid(draft, later(question.at, DAY), NOT_AFTER)),
  },
  {
    id: "valid in a second",
    apply: inOne(all, (draft, { question }) => valid(draft, later(question.at, 1), NOT_AFTER)),
  },
  {
    id: "in its first second",
    harmless: true,
    apply: inOne(all, (draft, { question }) => valid(draft, question.at, NOT_AFTER)),
  },
  {
    id: "ends before it begins",
    apply: inOne(all, (draft, { question }) =>
      valid(draft, later(question.at, DAY), later(question.at, -DAY)),
    ),
  },
  {
    id: "no expiry: year 9999",
    harmless: true,
    apply: inOne(all, (draft) => valid(draft, NOT_BEFORE, new Date(Date.UTC(9999, 11, 31, 23, 59, 59)))),
  },
  {
    id: "beyond 2049, in GeneralizedTime",
    harmless: true,
    apply: inOne(all, (draft) => valid(draft, NOT_BEFORE, new Date(Date.UTC(2060, 0, 1)))),
  },
  { ...until("GeneralizedTime before 2050", (end) => generalized(digits(end))), harmless: true },
  until("UTCTime without seconds", (end) => utc(`${digits(end).slice(2, 12)}Z`)),
  until("UTCTime with a time zone", (end) => utc(`${digits(end).slice(2, 14)}+0100`)),
  until("GeneralizedTime with a fraction", (end) => generalized(`${digits(end).slice(0, 14)}.5Z`)),
  until("the 30th of February", () => utc("390230000000Z")),
  until("a time of text", () => utc("next summer!Z")),
]
