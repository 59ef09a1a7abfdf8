/** Latency over load, as a picture. */
import type { Step } from "./open-loop.ts"

/** One curve for each percentile of a configuration, from the least load to the greatest. */
export interface Series {
  readonly name: string
  readonly steps: readonly Step[]
}

const [WIDTH, HEIGHT] = [860, 480]
const [LEFT, RIGHT, TOP, BOTTOM] = [64, 200, 40, 52]
/** Told apart by eyes that see few colors, too (Okabe and Ito). */
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
const PERCENTILES = [
  { name: "p50", dash: "2 4", of: ({ p50Ms }: Step) => p50Ms },
  { name: "p95", dash: "7 4", of: ({ p95Ms }: Step) => p95Ms },
  { name: "p99", dash: "none", of: ({ p99Ms }: Step) => p99Ms },
]
const TICKS = 5

/** An SVG: calls a second to the right, milliseconds upwards, where each line is ten times the one below. */
export function plotLatency(series: readonly Series[]): string {
  const steps = series.flatMap((one) => one.steps)
  const latencies = steps.flatMap((step) => PERCENTILES.map(({ of }) => of(step)))
  const loadMax = Math.max(...steps.map(({ offeredPerSecond }) => offeredPerSecond))
  const lowest = Math.floor(Math.log10(Math.min(...latencies)))
  const highest = Math.max(lowest + 1, Math.ceil(Math.log10(Math.max(...latencies))))
  if (![loadMax, lowest, highest].every(Number.isFinite)) throw new TypeError("there is nothing to plot")
  const [right, bottom] = [WIDTH - RIGHT, HEIGHT - BOTTOM]
  const x = (perSecond: number): number => LEFT + (perSecond / loadMax) * (right - LEFT)
  const y = (ms: number): number => bottom - ((Math.log10(ms) - lowest) / (highest - lowest)) * (bottom - TOP)

  const loads = Array.from({ length: TICKS + 1 }, (_, i) => (loadMax * i) / TICKS)
  const powers = Array.from({ length: highest - lowest + 1 }, (_, i) => 10 ** (lowest + i))
  const grid = [
    ...powers.flatMap((ms) => [
      line([LEFT, y(ms)], [right, y(ms)]),
      text(LEFT - 8, y(ms) + 4, Number(ms.toPrecision(1)).toString(), "end"),
    ]),
    ...loads.flatMap((load) => [
      line([x(load), bottom], [x(load), bottom + 5]),
      text(x(load), bottom + 20, String(Math.round(load)), "middle"),
    ]),
    text((LEFT + right) / 2, HEIGHT - 10, "offered calls a second", "middle"),
    text(LEFT, TOP - 16, "latency in ms", "middle"),
  ]
  const curves = series.flatMap((one, i) => {
    const color = COLORS[i % COLORS.length] ?? ""
    return PERCENTILES.map(({ dash, of }) => {
      const points = one.steps.map((step) => `${round(x(step.offeredPerSecond))},${round(y(of(step)))}`)
      const stroke = `stroke="${color}" stroke-width="2" stroke-dasharray="${dash}"`
      return `<polyline fill="none" ${stroke} points="${points.join(" ")}"/>`
    })
  })
  const legend = [
    ...series.map(({ name }, i) =>
      text(right + 20, TOP + 16 + 20 * i, name, "start", COLORS[i % COLORS.length]),
    ),
    ...PERCENTILES.flatMap(({ name, dash }, i) => {
      const at = TOP + 36 + 20 * (series.length + i)
      return [line([right + 20, at - 4], [right + 56, at - 4], dash), text(right + 64, at, name, "start")]
    }),
  ]
  const size = `width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}"`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="13">`,
    '<rect width="100%" height="100%" fill="white"/>',
    ...[...grid, ...curves, ...legend].map((element) => `  ${element}`),
    "</svg>\n",
  ].join("\n")
}

type Point = readonly [x: number, y: number]

const round = (value: number): string => value.toFixed(1)

const line = ([x1, y1]: Point, [x2, y2]: Point, dash?: string): string => {
  const ends = `x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"`
  return dash === undefined
    ? `<line ${ends} stroke="#cccccc"/>`
    : `<line ${ends} stroke="#333333" stroke-width="2" stroke-dasharray="${dash}"/>`
}

const text = (x: number, y: number, words: string, anchor: string, color = "#333333"): string =>
  `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" fill="${color}">${escaped(words)}</text>`

const escaped = (words: string): string =>
  words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
