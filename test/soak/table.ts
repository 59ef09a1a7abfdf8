import type { Progress } from "./progress.ts"
import type { Suite } from "./suite.ts"

const LABEL_WIDTH = 48

/** The one table at the end. */
export function tableOf(suites: readonly Suite[], progress: Progress): string {
  const lines = suites.flatMap((suite) => {
    const { counts, failures, ms } = progress.suites[suite.name] ?? { counts: {}, failures: [], ms: 0 }
    const rows = Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1))
    const cases = rows.reduce((sum, [, count]) => sum + count, 0)
    return [
      `${suite.name}: ${number(cases)} of ${number(suite.volume)} cases in ${timeText(ms)}, ${failures.length} failed`,
      ...rows.map(([label, count]) =>
        `  ${label.padEnd(LABEL_WIDTH)} ${number(count).padStart(7)}  ${suite.notes?.[label] ?? ""}`.trimEnd(),
      ),
      "",
    ]
  })
  return lines.join("\n")
}

const number = (value: number): string => value.toLocaleString("en-US")

/** As `2 min 5 s`. */
export const timeText = (ms: number): string => {
  const seconds = Math.round(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  return minutes === 0 ? `${seconds} s` : `${minutes} min ${seconds % 60} s`
}
