/** Replicas for the tests of stores that fail. */
import * as assert from "uvu/assert"
import { AssayError } from "../../src/errors.ts"
import type { OpenedValue } from "../../src/service/ports.ts"
import type { Engine } from "../../src/store/engine/engine.ts"
import { rejectsCode } from "./assert.ts"
import { type EngineServer, openReplica, waitUntil } from "./engines.ts"
import { handedOut, newValue } from "./ports/single-use.ts"
import { createProxy, type SocketProxy } from "./proxy.ts"

/** Within this a store that is back has to be in use again. */
export const RECOVERY_MS = 5000
/** For what is not about time: so slow is no machine. */
export const PATIENCE_MS = 20_000
/** The time by the clock of the tests. */
export const now = (): Date => new Date()
/** A value that a replica has sealed and opened. */
export const opened = ({ singleUse }: Engine): Promise<OpenedValue> =>
  handedOut(singleUse, newValue(now()), now())
/** Whether a replica relies on its store. */
export const isReady = (engine: Engine) => (): boolean => engine.unready() === undefined

/** Waits until a store that is back is in use again. What was handed out while it came back may have to be begun anew. */
export const recovers = (engine: Engine): Promise<number> =>
  waitUntil(RECOVERY_MS, async () => {
    const next = await opened(engine).catch(() => undefined)
    const isSpent =
      next !== undefined && (await refusalOf(() => engine.singleUse.spend(next, now()))) === undefined
    return isSpent && isReady(engine)()
  })

/** What an act is refused with; nothing if it is not. */
export const refusalOf = async (act: () => Promise<unknown>): Promise<string | undefined> => {
  try {
    await act()
    return undefined
  } catch (error) {
    if (error instanceof AssayError) return error.code
    throw error
  }
}

/**
 * As `refusalOf`, from a store that answers: where others work, it may miss its second, which is no answer to what is asked here.
 */
export const answerTo = async (act: () => Promise<unknown>): Promise<string | undefined> => {
  let code: string | undefined
  await waitUntil(PATIENCE_MS, async () => {
    code = await refusalOf(act)
    return code !== "NONCE_STORE"
  })
  return code
}

/** Runs `act` with a replica, which is closed in any case. */
export const withReplica = async (
  server: EngineServer,
  act: (engine: Engine) => Promise<void>,
  options: Parameters<typeof openReplica>[1] = {},
): Promise<void> => {
  const engine = await openReplica(server, options)
  try {
    await act(engine)
  } finally {
    await engine.close()
  }
}

/** As `withReplica`, with a proxy between. */
export const withProxy = async (
  server: EngineServer,
  act: (engine: Engine, proxy: SocketProxy) => Promise<void>,
): Promise<void> => {
  const proxy = await createProxy(...server.socket)
  try {
    await withReplica(server, (engine) => act(engine, proxy), {
      link: server.link(server.urlAt(proxy.folder)),
    })
  } finally {
    await proxy.close()
  }
}

/** Nothing is sealed, opened, spent or counted, and readiness says why. */
export const refusesAll = async (
  { singleUse, unready, epochKey }: Engine,
  value: OpenedValue,
  code: "NONCE_STORE" | "CLOCK",
) => {
  await rejectsCode(() => singleUse.seal(newValue(now())), code)
  await rejectsCode(() => singleUse.open("attest", new Uint8Array(200), now()), code)
  await rejectsCode(() => singleUse.spend(value, now()), code)
  await rejectsCode(() => singleUse.attempt(value, now()), code)
  await rejectsCode(() => singleUse.count("default", value.id, value.expiresAt, now()), code)
  await rejectsCode(() => epochKey(now()), code)
  assert.ok(unready() !== undefined)
}
