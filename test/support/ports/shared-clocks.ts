/** S-06 against engines that replicas share: clocks that differ, stand still, or cannot be relied on. */
import * as assert from "uvu/assert"
import { AssayError } from "../../../src/errors.ts"
import type { OpenedValue } from "../../../src/service/ports.ts"
import type { Engine } from "../../../src/store/engine/engine.ts"
import { type EngineServer, waitUntil } from "../engines.ts"
import {
  answerTo,
  isReady,
  now,
  opened,
  PATIENCE_MS,
  refusalOf,
  refusesAll,
  withReplica,
} from "../replicas.ts"
import { newValue } from "./single-use.ts"

/** A value of a replica that relies on its store. */
const openedInTime = async (engine: Engine): Promise<OpenedValue> => {
  await waitUntil(PATIENCE_MS, isReady(engine))
  return opened(engine)
}

/** Waits until a look has found the clocks wrong, and refuses all from then on. Nothing else is done between the two. */
const refusesAllForClock = async (engine: Engine, value: OpenedValue): Promise<void> => {
  await waitUntil(PATIENCE_MS, async () => (await refusalOf(() => engine.epochKey(now()))) === "CLOCK")
  await refusesAll(engine, value, "CLOCK")
}

/** What every engine that replicas share does when clocks differ. */
export const checkClocks = (
  server: EngineServer,
  check: (behavior: string, body: () => Promise<void>) => void,
): void => {
  for (const [what, offsetMs] of [
    ["an hour ahead", 3_600_000],
    ["an hour behind", -3_600_000],
    ["six seconds ahead", 6000],
    ["six seconds behind", -6000],
  ] as const)
    check(`refuses S-06 everything while its own clock is ${what} of the store's`, async () => {
      let offset = 0
      const clock = { now: () => new Date(Date.now() + offset) }
      await withReplica(
        server,
        async (engine) => {
          // A value for each try: whoever was not told in time has spent it all the same.
          const tried: OpenedValue[] = []
          const spend = async (): Promise<void> => {
            offset = 0
            const value = await openedInTime(engine)
            tried.push(value)
            offset = offsetMs
            await engine.singleUse.spend(value, now())
          }
          assert.is(await answerTo(spend), "CLOCK")
          const spent = tried.at(-1)
          if (spent === undefined) throw new TypeError("nothing was spent")
          await refusesAllForClock(engine, spent)
          offset = 0
          await waitUntil(PATIENCE_MS, isReady(engine))
          assert.is(await answerTo(() => engine.singleUse.spend(spent, now())), "NONCE_SPENT")
        },
        { clock },
      )
    })

  check("refuses S-06 everything while its own clock stands still", async () => {
    let frozen: Date | undefined
    await withReplica(
      server,
      async (engine) => {
        const value = await openedInTime(engine)
        frozen = now()
        await refusesAllForClock(engine, value)
        frozen = undefined
        await waitUntil(PATIENCE_MS, isReady(engine))
      },
      { clock: { now: () => frozen ?? now() }, clockBoundMs: 300 },
    )
  })

  check(`starts while the clocks differ, refuses S-06 everything, and goes on when they agree`, async () => {
    let offset = 3_600_000
    await withReplica(
      server,
      async (engine) => {
        assert.is(await answerTo(() => engine.singleUse.seal(newValue(now()))), "CLOCK")
        offset = 0
        await waitUntil(PATIENCE_MS, isReady(engine))
      },
      { clock: { now: () => new Date(Date.now() + offset) } },
    )
  })

  check("refuses S-06 everything while this machine's clock cannot be relied on", async () => {
    let isWrong = false
    const checkClock = (): void => {
      if (isWrong) throw new AssayError("CLOCK", "the clock was turned")
    }
    await withReplica(
      server,
      async (engine) => {
        const value = await openedInTime(engine)
        isWrong = true
        await refusesAllForClock(engine, value)
      },
      { checkClock },
    )
  })
}
