import { AFFIRMING, affirm, type MeasuredRule } from "./rule.ts"

/**
 * The device showed the log that its policy requires, and the log has every bank that it requires. That a log leads
 * to the quote is proven before any rule runs; but it leads to a bank that firmware left alone without a word on it.
 */
export const eventLog: MeasuredRule = ({ evidence: { eventLog, banks } }) => {
  if (eventLog === "optional") return affirm
  return ({ replay }) => {
    if (replay === undefined)
      return {
        ...REFUSAL,
        code: "EVENT_LOG_MISSING",
        expected: "a log that leads to the quoted PCRs",
        actual: "none",
      }
    if (banks.every((bank) => replay.explained.has(bank))) return AFFIRMING
    return {
      ...REFUSAL,
      code: "EVENT_LOG_BANK",
      expected: banks.filter((bank) => !replay.explained.has(bank)).join(", "),
      actual: [...replay.explained.keys()].join(", "),
    }
  }
}

const REFUSAL = { tier: "contraindicated", location: "event log", claim: ["executables", 96] } as const
