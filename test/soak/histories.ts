/** Histories of everything that moves a verdict, with every cache and with none. */
import { runHistories, SPENT_BY_MEMORY, VERDICT_HITS } from "../support/histories/run.ts"
import type { Suite } from "./suite.ts"

/** Each history is a few steps: something moves, and evidence is shown that is new or was shown before. */
export const histories: Suite = {
  name: "histories, with caches and without",
  volume: 100_000,
  notes: {
    [VERDICT_HITS]: "each beside one that was judged anew",
    [SPENT_BY_MEMORY]: "the device was registered anew under another id",
    EVENT_LOG_NEEDED: "a log was named that its device had not shown",
  },
  run: runHistories,
}
