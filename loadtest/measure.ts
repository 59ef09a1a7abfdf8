/** Rounds of the floor and of Verify in turn, and what every measured call must have come to. */
import type { AttestationClient } from "../src/client/attestation.ts"
import { challengeParts } from "../src/device/attester.ts"
import type { SoftwareDevice } from "../src/device/software.ts"
import type { AssayFunctions } from "./assay-server.ts"
import type { Answer, Caller } from "./caller.ts"
import { type Child, type Cost, microsecondsEach, type Stopwatch } from "./child.ts"
import { AUDIENCE, answer } from "./fleet.ts"
import type { FloorFunctions } from "./floor-server.ts"
import { answerLength, emptyRequest, evidenceIn, sessionTokenOf } from "./messages.ts"
import { median } from "./statistics.ts"

/** One kind of evidence. */
export interface Case {
  readonly algorithm: "rsa-2048" | "p256"
  /** Whether the evidence has its log with it, names it, or has none. */
  readonly log: "none" | "named" | "sent"
  /** Whether each evidence is a call, or a message of one stream. */
  readonly via: "unary" | "stream"
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
  readonly assay: Child<AssayFunctions>
  readonly floor: Child<FloorFunctions>
  readonly callers: Readonly<Record<Case["via"], { readonly assay: Caller; readonly floor: Caller }>>
  readonly gateway: AttestationClient
  readonly fleets: Readonly<Record<Case["algorithm"], readonly SoftwareDevice[]>>
  /** How many verifications the journal holds. */
  readonly journalRecords: () => number
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

/** One round of a case. `check` and `sign` are CPU µs of one signature. */
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

/** A case with its rounds; every call of them ended in a session and in a record, or `measure` had thrown. */
export interface Measured extends Case {
  readonly sizes: Sizes
  readonly rounds: readonly Round[]
  readonly calls: number
  /** Calls before each measured window: their sessions and records are counted too. */
  readonly runIn: number
  readonly sessions: number
  readonly journalRecords: number
}

/** Empty calls for one Verify: a window of fewer would be over before a collection has come and gone. */
const EMPTY_CALLS = 4
/** A server that has waited for its turn has given memory and caches away: it first gets a run-in, not measured. */
const runInOf = (calls: number): number => Math.ceil(calls / 4)
/** Signatures in one loop of the floor. */
const SIGNATURES_MAX = 500
/** Before anything is measured: so many rounds of the case that is prepared soonest, for compiler and caches. */
const WARM_ROUNDS = 8
const WARM_CASE: Case = { algorithm: "p256", log: "sent", via: "unary" }
/** A busy machine takes longer: no round begins after this, but for the first. */
const TIME_MAX_MS = 45_000

/**
 * Measures all cases round by round, so that whatever else the machine does meets all of them alike. Floor and Verify
 * take turns at being first. There are fewer rounds than planned where the machine is too slow for them, never none.
 *
 * @throws {Error} if a call ends in anything but a session of its own, or the journal lacks its record.
 */
export async function measure(
  stage: Stage,
  cases: readonly Case[],
  plan: Plan,
): Promise<readonly Measured[]> {
  const start = performance.now()
  for (let round = 0; round < WARM_ROUNDS; round++) {
    const { sizes } = await verifyRound(stage, WARM_CASE, plan)
    await floorRound(stage, WARM_CASE, plan, sizes)
  }
  const measured: Measured[] = []
  for (const one of cases) {
    // A log is shown before it is named.
    if (one.log === "named") await verifyRound(stage, { ...one, log: "sent" }, plan)
    const { sizes } = await verifyRound(stage, one, plan)
    await floorRound(stage, one, plan, sizes)
    measured.push({ ...one, sizes, rounds: [], calls: 0, runIn: 0, sessions: 0, journalRecords: 0 })
  }
  for (let round = 0; round < plan.rounds; round++) {
    if (round > 0 && performance.now() - start > TIME_MAX_MS) break
    for (const [i, before] of measured.entries()) {
      const floorOf = () => floorRound(stage, before, plan, before.sizes)
      const first = round % 2 === 0 ? await floorOf() : undefined
      const { window, sessions, journalRecords } = await verifyRound(stage, before, plan)
      const floor = first ?? (await floorOf())
      measured[i] = {
        ...before,
        rounds: [...before.rounds, { ...floor, verify: window }],
        calls: before.calls + plan.calls,
        runIn: before.runIn + runInOf(plan.calls),
        sessions: before.sessions + sessions,
        journalRecords: before.journalRecords + journalRecords,
      }
    }
  }
  return measured
}

interface VerifyRound {
  readonly window: Window
  readonly sizes: Sizes
  readonly sessions: number
  readonly journalRecords: number
}

async function verifyRound(stage: Stage, one: Case, { calls, inFlight }: Plan): Promise<VerifyRound> {
  const all = calls + runInOf(calls)
  const requests = await prepare(stage, one, all)
  const recordsBefore = stage.journalRecords()
  const { answers, window } = await timed(
    stage.assay,
    stage.callers[one.via].assay,
    requests,
    calls,
    inFlight,
  )
  const tokens = answers.map(sessionTokenOf)
  const sessions = new Set(tokens).size
  const journalRecords = stage.journalRecords() - recordsBefore
  if (sessions !== all || journalRecords !== all)
    throw new Error(`${all} calls, but ${sessions} sessions and ${journalRecords} records`)
  const evidence = requests.map(evidenceIn)
  const middle = (sizes: readonly number[]): number => Math.floor(median(sizes))
  const sizes = {
    requestBytes: middle(requests.map(({ length }) => length)),
    answerBytes: middle(answers.map(({ message }) => message.length)),
    attestBytes: middle(evidence.map(({ attest }) => attest.length)),
    eventLogBytes: middle(evidence.map(({ eventLog }) => eventLog.length)),
    tokenBytes: middle(tokens.map(({ length }) => length)),
  }
  return { window, sizes, sessions, journalRecords }
}

/** Fresh challenges and quotes over them, device after device. */
async function prepare(
  { gateway, fleets }: Stage,
  { algorithm, log }: Case,
  calls: number,
): Promise<readonly Uint8Array[]> {
  const fleet = fleets[algorithm]
  const requests: Uint8Array[] = []
  while (requests.length < calls)
    requests.push(
      ...(await Promise.all(
        fleet.slice(0, calls - requests.length).map(async (device) => {
          const challenge = challengeParts(await gateway.createChallenge({ audience: AUDIENCE }))
          return answer(device, challenge, log)
        }),
      )),
    )
  return requests
}

async function floorRound(
  { floor, callers }: Stage,
  { algorithm, via }: Case,
  { calls, inFlight }: Plan,
  sizes: Sizes,
): Promise<Omit<Round, "verify">> {
  await floor.ask("answerWith", answerLength(sizes.answerBytes))
  const all = EMPTY_CALLS * calls
  const requests = new Array<Uint8Array>(all + runInOf(all)).fill(emptyRequest(sizes.requestBytes))
  const { answers, window } = await timed(floor, callers[via].floor, requests, all, inFlight)
  if (answers.some((empty) => sessionTokenOf(empty).length !== answerLength(sizes.answerBytes)))
    throw new Error("an empty call was not answered as it should be")
  const { attestBytes, tokenBytes } = sizes
  const count = Math.min(calls, SIGNATURES_MAX)
  const signatures = await floor.ask("signatures", algorithm, attestBytes, tokenBytes, count)
  return { empty: window, ...signatures }
}

/** Sends all requests and measures the last `calls` of them. */
async function timed(
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
