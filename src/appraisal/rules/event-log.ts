import { AFFIRMING, type MeasuredRule } from "./rule.ts"

/**
 * The device showed the log that its policy requires, and the log has every bank that it requires. That a log leads
 * to the quote is proven before any rule runs; but it leads to a bank that firmware left alone without a word on it.
 */
export const eventLog: MeasuredRule = ({ replay }, { evidence }) => {
  if (evidence.eventLog === "optional") return AFFIRMING
  const refusal = { tier: "contraindicated", location: "event log", claim: ["executables", 96] } as const
  if (replay === undefined)
    return {
      ...refusal,
      code: "EVENT_LOG_MISSING",
      expected: "a log that leads to the quoted PCRs",
      actual: "none",
    }
  const absent = evidence.banks.filter((bank) => !replay.explained.has(bank))
  return absent.length === 0
    ? AFFIRMING
    : {
        ...refusal,
        code: "EVENT_LOG_BANK",
        expected: absent.join(", "),
        actual: [...replay.explained.keys()].join(", "),
      }
}
