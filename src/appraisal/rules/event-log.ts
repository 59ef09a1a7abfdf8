import { AFFIRMING, type Rule } from "./rule.ts"

/** The device showed the log that its policy requires. That a log leads to the quote is proven before any rule runs. */
export const eventLog: Rule = ({ replay }, { evidence }) =>
  evidence.eventLog === "required" && replay === undefined
    ? {
        tier: "contraindicated",
        code: "EVENT_LOG_MISSING",
        location: "event log",
        expected: "a log that leads to the quoted PCRs",
        actual: "none",
        claim: ["executables", 96],
      }
    : AFFIRMING
