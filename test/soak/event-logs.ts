/** Histories of event logs, with caches and without. */
import { runLogHistories } from "../support/log-histories.ts"
import type { Suite } from "./suite.ts"

/** Each history is a few evidences of devices that show, name, withhold and alter their logs. */
export const logHistories: Suite = {
  name: "histories of event logs, with caches and without",
  volume: 100_000,
  notes: { EVENT_LOG_NEEDED: "a log was named that its device had not shown" },
  run: runLogHistories,
}
