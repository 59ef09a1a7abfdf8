import type { ChildProcess } from "node:child_process"
import { randomBytes } from "node:crypto"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { setTimeout as sleep } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  CREW_LIMITS,
  type CrewLimits,
  createSlot,
  type Slot,
  type SlotParts,
} from "../../src/workers/slot.ts"
import { waitUntil } from "../support/engines.ts"
import type { TestTrade } from "./trade.ts"

const test = suite("createSlot")
const MADE = "child_process"

/** A slot, and what became of its workers. */
interface Scene {
  readonly slot: Slot<TestTrade>
  /** Every process that was made for it. */
  readonly made: readonly ChildProcess[]
  /** When each key was made. */
  readonly keysMs: readonly number[]
  readonly served: (number | undefined)[]
  readonly ended: string[]
  readonly failed: unknown[]
  /** How many more keys cannot be made. */
  keyless: number
  /** How many more processes cannot be made. */
  forkless: number
}

interface Options {
  readonly limits?: Partial<CrewLimits>
  readonly announce?: (scene: Scene) => Promise<void>
}

/** Ends the slot as a crew does. */
const end = async (slot: Slot<TestTrade>): Promise<void> => {
  const ended = slot.end()
  slot.kill()
  await ended
}

/** Runs `act` with a slot of which nothing runs, ends it, and leaves no process of it whatever it has become. */
const withSlot = async (options: Options, act: (scene: Scene) => Promise<void>): Promise<void> => {
  const made: ChildProcess[] = []
  const keysMs: number[] = []
  const makes = (message: unknown): void => {
    const { process: child } = message as { process: ChildProcess }
    if (scene.forkless-- <= 0) return void made.push(child)
    Object.assign(child, {
      spawn: () => {
        throw Object.assign(new Error("spawn ENOMEM"), { code: "ENOMEM" })
      },
    })
  }
  const parts: SlotParts<TestTrade> = {
    entry: new URL("./entry.ts", import.meta.url),
    limits: { ...CREW_LIMITS, backoffMs: 10, backoffMsMax: 50, ...options.limits },
    createKey: () => {
      keysMs.push(performance.now())
      if (scene.keyless-- > 0) throw new Error("no key")
      return { id: randomBytes(8), bytes: randomBytes(32) }
    },
    begin: () => ({ keys: [], fails: false }),
    offers: () => ({
      turn: async () => {},
      turnEnds: () => {},
      use: async (use) => use,
      nudge: () => {},
      want: () => {},
    }),
    announce: async () => options.announce?.(scene),
    serving: (_member, pid) => scene.served.push(pid),
    ended: (_member, reason) => scene.ended.push(reason),
    takeBack: () => {},
    failed: (_member, error) => scene.failed.push(error),
  }
  const slot = createSlot<TestTrade>(1, parts)
  const scene: Scene = { slot, made, keysMs, served: [], ended: [], failed: [], keyless: 0, forkless: 0 }
  subscribe(MADE, makes)
  try {
    await act(scene)
  } finally {
    await end(slot)
    unsubscribe(MADE, makes)
    for (const child of made) child.kill("SIGKILL")
  }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null

const faults = [
  ["no process can be made", "forkless"],
  ["no key can be made", "keyless"],
] as const
for (const [fault, counter] of faults)
  for (const times of [1, 3])
    test(`refuses S-08 to stay without a worker where ${fault}, ${times === 1 ? "once" : `${times} times`}`, () =>
      withSlot({}, async (scene) => {
        await scene.slot.start()
        scene[counter] = times
        scene.slot.kill()
        await waitUntil(4000, () => scene.served.length === 2)
        assert.is(scene.failed.length, times)
        assert.is(scene.slot.unready(), undefined)
        await end(scene.slot)
        assert.is(scene.made.length, 2)
        assert.ok(scene.made.every(hasEnded), "none is left")
      }))

for (const [fault, counter] of faults)
  test(`refuses S-08 to go on after its end where ${fault}`, () =>
    withSlot({}, async (scene) => {
      scene[counter] = Number.POSITIVE_INFINITY
      await scene.slot.start().then(
        () => assert.unreachable(),
        () => {},
      )
      await waitUntil(2000, () => scene.failed.length > 0)
      await end(scene.slot)
      const tried = scene.keysMs.length
      await sleep(150)
      assert.is(scene.keysMs.length, tried)
      assert.is(scene.made.length, 0)
    }))

test("refuses S-08 to start another one once it is ended", () =>
  withSlot({}, async (scene) => {
    await scene.slot.start()
    scene.keyless = Number.POSITIVE_INFINITY
    await end(scene.slot)
    await sleep(100)
    assert.is(scene.keysMs.length, 1)
  }))

test("refuses S-08 to kill one that was long to begin, for what it has not been asked yet", () =>
  withSlot(
    {
      // No process begins within that.
      limits: { hungMs: 20 },
      announce: async ({ slot }) => {
        slot.ping()
        await sleep(100)
      },
    },
    async (scene) => {
      await scene.slot.start()
      assert.is(scene.served.length, 1)
      assert.equal(scene.ended, [])
    },
  ))

test("refuses S-08 to say that one serves that has ended while the others were told of it", () =>
  withSlot(
    {
      announce: async ({ slot, made, ended }) => {
        if (made.length > 1) return
        slot.kill()
        await waitUntil(2000, () => ended.length > 0)
      },
    },
    async (scene) => {
      await scene.slot.start().then(
        () => assert.unreachable(),
        ({ message }) => assert.match(message, /ended/),
      )
      await waitUntil(4000, () => scene.slot.isServing())
      assert.equal(scene.served, [scene.made[1]?.pid])
      assert.equal(scene.ended, ["SIGKILL"])
    },
  ))

test("gives nothing new to one that is silent, and believes it again when it is heard", () =>
  withSlot({ limits: { lateMs: 200, hungMs: 60_000 } }, async ({ slot, made, ended }) => {
    await slot.start()
    assert.ok(slot.isServing())
    made[0]?.kill("SIGSTOP")
    slot.ping()
    await waitUntil(2000, () => !slot.isServing())
    assert.match(slot.unready() ?? "", /does not answer/)
    made[0]?.kill("SIGCONT")
    await waitUntil(2000, () => slot.isServing())
    assert.equal(ended, [])
  }))

test("waits twice as long before each that follows one that was not well, and the least after one that was", () =>
  withSlot(
    { limits: { backoffMs: 150, backoffMsMax: 60_000, wellMs: 1000 } },
    async ({ slot, keysMs, served }) => {
      const waits: number[] = []
      const waitMs = async (): Promise<void> => {
        const [keys, serving] = [keysMs.length, served.length]
        const from = performance.now()
        slot.kill()
        await waitUntil(4000, () => served.length > serving)
        waits.push((keysMs[keys] ?? 0) - from)
      }
      await slot.start()
      for (let i = 0; i < 3; i++) await waitMs()
      await sleep(1050)
      await waitMs()
      const [first = 0, second = 0, third = 0, afterWell = 0] = waits
      assert.ok(first >= 145 && second >= 295 && third >= 595, String(waits))
      assert.ok(afterWell < 600, String(waits))
    },
  ))

test.run()
