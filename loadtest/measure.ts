/** Rounds of the floor and of Verify in turn, and what every measured call must have come to. */
import type { AttestationClient } from "../src/client/attestation.ts"
import type { SoftwareDevice } from "../src/device/software.ts"
import type { Answer, Caller } from "./caller.ts"
import { type Child, type Cost, microsecondsEach, type Stopwatch } from "./child.ts"
import { answer, answerEpoch } from "./fleet.ts"
import type { FloorFunctions } from "./floor-server.ts"
import { answerLength, emptyRequest, evidenceIn, tokenOf } from "./messages.ts"
import { median } from "./statistics.ts"
import type { Target } from "./target.ts"
import { type Counts, NO_COUNTS, plus } from "./tokens.ts"

/** One kind of evidence. */
export interface Case {
  readonly algorithm: "rsa-2048" | "p256"
  /** Whether the evidence has its log with it, names it, or has none. */
  readonly log: "none" | "named" | "sent"
  /** Whether each evidence is a call, or a message of one stream. */
  readonly via: "unary" | "stream"
  /** Whether each answers a challenge of its own, or all of a device are the same evidence over one epoch. */
  readonly shows: "fresh" | "again"
}

/** How much to measure. */
export interface Plan {
  /** Calls of a case in one round: all are prepared before the first is sent, within a challenge's lifetime. */
  readonly calls: number
  readonly rounds: number
  /** Calls at a time. */
  readonly inFlight: number
}

/** Everything that takes part. */
export interface Stage {
  readonly target: Target
  readonly floor: Child<FloorFunctions>
  readonly callers: Readonly<Record<Case["via"], { readonly assay: Caller; readonly floor: Caller }>>
  readonly gateway: AttestationClient
  readonly fleets: Readonly<Record<Case["algorithm"], readonly SoftwareDevice[]>>
}

/** What one call of a round cost its server. */
export interface Window {
  /** CPU time, that of the system included. */
  readonly microseconds: number
  readonly systemMicroseconds: number
  /** Share of the time in which the server was not waiting for work, 0 to 1. */
  readonly busy: number
  readonly callsPerSecond: number
}

/** One round of a case. `check` and `sign` are CPU µs of one signature; what was checked before needs no check. */
export interface Round {
  readonly empty: Window
  readonly check: number
  readonly sign: number
  readonly verify: Window
}

/** Encoded sizes, medians of the first round. */
export interface Sizes {
  readonly requestBytes: number
  readonly answerBytes: number
  readonly attestBytes: number
  /** 0 if the evidence has no log. */
  readonly eventLogBytes: number
  readonly tokenBytes: number
}

/** A case with its rounds. */
export interface Measured extends Case {
  readonly sizes: Sizes
  readonly rounds: readonly Round[]
  /** Of all calls since the first warm one. */
  readonly counts: Counts
}

/** Empty calls for one Verify: a window of fewer would be over before a collection has come and gone. */
const EMPTY_CALLS = 4
/** A server that has waited for its turn has given memory and caches away: it first gets a run-in, not measured. */
const runInOf = (calls: number): number => Math.ceil(calls / 4)
/** Signatures in one loop of the floor. */
const SIGNATURES_MAX = 500
/** Rounds of each case before any is measured: until then the compiler still makes calls cheaper. */
const WARM_ROUNDS = 8

/**
 * Measures all cases round by round, so that whatever else the machine does meets all of them alike. Floor and Verify
 * take turns at being first.
 */
export async function measure(
  stage: Stage,
  cases: readonly Case[],
  plan: Plan,
): Promise<readonly Measured[]> {
  const measured: Measured[] = []
  for (const one of cases) {
    let counts = NO_COUNTS
    const warm = async (shown: Case): Promise<Sizes> => {
      const round = await verifyRound(stage, shown, plan)
      counts = plus(counts, round.counts)
      return round.sizes
    }
    // A log is shown before it is named.
    let sizes = await warm({ ...one, log: "sent", shows: "fresh" })
    for (let round = 0; round < WARM_ROUNDS; round++) {
      sizes = await warm(one)
      await floorRound(stage, one, plan, sizes)
    }
    measured.push({ ...one, sizes, rounds: [], counts })
  }
  for (let round = 0; round < plan.rounds; round++) {
    for (const [i, before] of measured.entries()) {
      const floorOf = () => floorRound(stage, before, plan, before.sizes)
      const first = round % 2 === 0 ? await floorOf() : undefined
      const { window, counts } = await verifyRound(stage, before, plan)
      const floor = first ?? (await floorOf())
      const rounds = [...before.rounds, { ...floor, verify: window }]
      measured[i] = { ...before, rounds, counts: plus(before.counts, counts) }
    }
  }
  return measured
}

interface VerifyRound {
  readonly window: Window
  readonly sizes: Sizes
  readonly counts: Counts
}

async function verifyRound(stage: Stage, one: Case, { calls, inFlight }: Plan): Promise<VerifyRound> {
  const requests = await prepare(stage, one, calls + runInOf(calls))
  const { target } = stage
  const { answers, window, counts } = await target.counted(() =>
    timed(target.child, stage.callers[one.via].assay, requests, calls, inFlight),
  )
  const evidence = requests.map(evidenceIn)
  const middle = (sizes: readonly number[]): number => Math.floor(median(sizes))
  const sizes = {
    requestBytes: middle(requests.map(({ length }) => length)),
    answerBytes: middle(answers.map(({ message }) => message.length)),
    attestBytes: middle(evidence.map(({ attest }) => attest.length)),
    eventLogBytes: middle(evidence.map(({ eventLog }) => eventLog.length)),
    tokenBytes: middle(answers.map((answered) => tokenOf(answered).length)),
  }
  return { window, sizes, counts }
}

/** Device after device: fresh challenges and quotes over them, or one quote of each over the epoch. */
async function prepare(
  { target, gateway, fleets }: Stage,
  { algorithm, log, shows }: Case,
  calls: number,
): Promise<readonly Uint8Array[]> {
  const fleet = fleets[algorithm]
  const inTurn = <T>(items: readonly T[], i: number): T => {
    const item = items[i % items.length]
    if (item === undefined) throw new TypeError("there is nothing to take turns with")
    return item
  }
  if (shows === "fresh") {
    const challenges = await target.challenges(calls)
    return Promise.all(challenges.map((challenge, i) => answer(inTurn(fleet, i), challenge, log)))
  }
  const epoch = await gateway.getEpoch()
  const shown = await Promise.all(fleet.map((device) => answerEpoch(device, epoch, log)))
  return Array.from({ length: calls }, (_, i) => inTurn(shown, i))
}

async function floorRound(
  { floor, callers }: Stage,
  { algorithm, via, shows }: Case,
  { calls, inFlight }: Plan,
  sizes: Sizes,
): Promise<Omit<Round, "verify">> {
  await floor.ask("answerWith", answerLength(sizes.answerBytes))
  const all = EMPTY_CALLS * calls
  const requests = new Array<Uint8Array>(all + runInOf(all)).fill(emptyRequest(sizes.requestBytes))
  const { answers, window } = await timed(floor, callers[via].floor, requests, all, inFlight)
  if (answers.some((empty) => tokenOf(empty).length !== answerLength(sizes.answerBytes)))
    throw new Error("an empty call was not answered as it should be")
  const { attestBytes, tokenBytes } = sizes
  const count = Math.min(calls, SIGNATURES_MAX)
  const signatures = await floor.ask("signatures", algorithm, attestBytes, tokenBytes, count)
  return { empty: window, ...signatures, ...(shows === "again" && { check: 0 }) }
}

/** Sends all requests and measures the last `calls` of them. */
export async function timed(
  child: Child<Stopwatch>,
  caller: Caller,
  requests: readonly Uint8Array[],
  calls: number,
  inFlight: number,
): Promise<{ readonly answers: readonly Answer[]; readonly window: Window }> {
  const runIn = requests.length - calls
  const before = await caller.callAll(requests.slice(0, runIn), inFlight)
  await child.ask("begin")
  const answers = await caller.callAll(requests.slice(runIn), inFlight)
  const window = windowOf(await child.ask("end"), calls)
  return { answers: [...before, ...answers], window }
}

const windowOf = (cost: Cost, calls: number): Window => ({
  microseconds: microsecondsEach(cost, calls),
  systemMicroseconds: (1000 * cost.systemMs) / calls,
  busy: cost.busy,
  callsPerSecond: (1000 * calls) / cost.wallMs,
})
