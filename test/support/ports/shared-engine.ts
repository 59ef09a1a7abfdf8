/** S-01, S-02 and S-06 against engines that replicas share: stores that are away, slow, restarted or emptied. */
import * as assert from "uvu/assert"
import { AssayError } from "../../../src/errors.ts"
import { createRandom } from "../../../src/keys/random.ts"
import type { OpenedValue } from "../../../src/service/ports.ts"
import type { Engine } from "../../../src/store/engine/engine.ts"
import { createKeyRecords } from "../../../src/store/engine/key-record.ts"
import { rejectsCode } from "../assert.ts"
import { type EngineServer, openFleet, openReplica, waitUntil } from "../engines.ts"
import { createProxy, type SocketProxy } from "../proxy.ts"
import { handedOut, newValue } from "./single-use.ts"

/** Within this a store that is back has to be in use again. */
const RECOVERY_MS = 5000
const now = (): Date => new Date()
const opened = ({ singleUse }: Engine): Promise<OpenedValue> => handedOut(singleUse, newValue(now()), now())
const isReady = (engine: Engine) => (): boolean => engine.unready() === undefined

/** Runs `act` with a replica, which is closed in any case. */
const withReplica = async (
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
const withProxy = async (
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
const refusesAll = async (
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

/** A test that needs a server. */
type OnServer = (name: string, body: () => Promise<void>) => void

/** What every engine that replicas share does when its store fails. */
export const sharedEngineConformance = (server: EngineServer, onServer: OnServer): void => {
  const check: OnServer = (behavior, body) => onServer(`${server.kind} ${behavior}`, body)
  checkAway(server, check)
  checkAmbiguous(server, check)
  checkFenced(server, check)
  checkClocks(server, check)
  checkKeys(server, check)
}

const checkAway = (server: EngineServer, check: OnServer): void => {
  check("refuses S-01 everything while its server is killed, and recovers by itself", () =>
    withReplica(server, async (engine) => {
      const value = await opened(engine)
      await server.kill()
      await rejectsCode(() => engine.singleUse.spend(value, now()), "NONCE_STORE")
      await waitUntil(3000, () => engine.unready() !== undefined)
      await refusesAll(engine, value, "NONCE_STORE")
      await server.start()
      await waitUntil(RECOVERY_MS, isReady(engine))
      await engine.singleUse.spend(await opened(engine), now())
    }),
  )

  check("refuses S-01 everything while its server hangs, each call within its second", () =>
    withReplica(server, async (engine) => {
      const value = await opened(engine)
      server.pause()
      const start = performance.now()
      await rejectsCode(() => engine.singleUse.spend(value, now()), "NONCE_STORE")
      assert.ok(performance.now() - start < 1500, "a call waits for a second")
      await waitUntil(4000, () => engine.unready() !== undefined)
      await refusesAll(engine, value, "NONCE_STORE")
      server.resume()
      await waitUntil(RECOVERY_MS, isReady(engine))
      await engine.singleUse.spend(await opened(engine), now())
    }),
  )

  check("refuses S-01 everything until a server that was away at the start comes", async () => {
    await server.kill()
    await withReplica(server, async (engine) => {
      assert.ok(engine.unready() !== undefined)
      await rejectsCode(() => engine.singleUse.seal(newValue(now())), "NONCE_STORE")
      await server.start()
      await waitUntil(RECOVERY_MS, isReady(engine))
      await engine.singleUse.spend(await opened(engine), now())
    })
  })

  check("refuses S-01 while connections are refused or reset, and recovers by itself", () =>
    withProxy(server, async (engine, proxy) => {
      const value = await opened(engine)
      proxy.refuse(true)
      proxy.cut()
      await rejectsCode(() => engine.singleUse.spend(value, now()), "NONCE_STORE")
      await waitUntil(3000, () => engine.unready() !== undefined)
      await refusesAll(engine, value, "NONCE_STORE")
      const error = await rejectsCode(() => engine.singleUse.seal(newValue(now())), "NONCE_STORE")
      assert.not(error.message.includes(proxy.folder), "callers need not know where the store is")
      proxy.refuse(false)
      await waitUntil(RECOVERY_MS, isReady(engine))
      await engine.singleUse.spend(await opened(engine), now())
    }),
  )
}

const checkAmbiguous = (server: EngineServer, check: OnServer): void => {
  for (const replies of ["lost", "reset"] as const)
    check(`refuses S-02 a value whose spending was answered by a reply that was ${replies}`, () =>
      withProxy(server, async (engine, proxy) => {
        const value = await opened(engine)
        proxy.replies = replies
        await rejectsCode(() => engine.singleUse.spend(value, now()), "NONCE_STORE")
        proxy.replies = "passed"
        proxy.cut()
        let code: unknown
        await waitUntil(RECOVERY_MS, async () => {
          code = await engine.singleUse.spend(value, now()).catch((error: AssayError) => error.code)
          return code !== "NONCE_STORE"
        })
        assert.is(code, "NONCE_SPENT")
        await withReplica(server, async ({ singleUse }) => {
          await rejectsCode(() => singleUse.spend(value, now()), "NONCE_SPENT")
        })
      }),
    )
}

const checkFenced = (server: EngineServer, check: OnServer): void => {
  for (const isSpent of [true, false])
    check(`refuses S-02 a value ${isSpent ? "" : "un"}spent before its server was restarted`, () =>
      withReplica(server, async (engine) => {
        const sealed = await engine.singleUse.seal(newValue(now()))
        const value = await engine.singleUse.open("attest", sealed, now())
        if (isSpent) await engine.singleUse.spend(value, now())
        await server.kill()
        await server.start()
        await waitUntil(RECOVERY_MS, isReady(engine))
        await rejectsCode(() => engine.singleUse.spend(value, now()), "NONCE_FENCED")
        await rejectsCode(() => engine.singleUse.attempt(value, now()), "NONCE_FENCED")
        await rejectsCode(
          async () => engine.singleUse.spend(await engine.singleUse.open("attest", sealed, now()), now()),
          ["NONCE_UNKNOWN", "NONCE_FENCED"],
        )
        await engine.singleUse.spend(await opened(engine), now())
      }),
    )

  check("refuses S-02 what was sealed under another state of the store, or by a key that is gone", () =>
    withReplica(server, async ({ singleUse, ...engine }) => {
      const value = await opened({ singleUse, ...engine })
      const { fence, keyId } = value.origin
      const others = [
        { keyId, fence: "" },
        { keyId, fence: fence.slice(0, -1) },
        { keyId, fence: `${fence}0` },
        { keyId, fence: fence.replace(/[1-9a-f]/, "0") },
        { keyId: keyId.toReversed(), fence },
        { keyId: new Uint8Array(), fence },
      ]
      for (const origin of others) {
        await rejectsCode(() => singleUse.spend({ ...value, origin }, now()), "NONCE_FENCED")
        await rejectsCode(() => singleUse.attempt({ ...value, origin }, now()), "NONCE_FENCED")
      }
      assert.is(await singleUse.attempt(value, now()), 1)
      await singleUse.spend(value, now())
    }),
  )

  check("refuses S-02 what was spent before somebody emptied the store", () =>
    withReplica(server, async (engine) => {
      const value = await opened(engine)
      await engine.singleUse.spend(value, now())
      await server.wipe()
      await rejectsCode(() => engine.singleUse.spend(value, now()), ["NONCE_FENCED", "NONCE_STORE"])
      await waitUntil(RECOVERY_MS, () =>
        opened(engine)
          .then((next) => engine.singleUse.spend(next, now()))
          .then(
            () => true,
            () => false,
          ),
      )
      await rejectsCode(() => engine.singleUse.spend(value, now()), "NONCE_FENCED")
    }),
  )
}

const checkClocks = (server: EngineServer, check: OnServer): void => {
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
          const value = await opened(engine)
          offset = offsetMs
          await rejectsCode(() => engine.singleUse.spend(value, now()), "CLOCK")
          await waitUntil(2000, () => engine.unready() !== undefined)
          await refusesAll(engine, value, "CLOCK")
          offset = 0
          await waitUntil(RECOVERY_MS, isReady(engine))
          await rejectsCode(() => engine.singleUse.spend(value, now()), "NONCE_SPENT")
        },
        { clock },
      )
    })

  check("refuses S-06 everything while its own clock stands still", async () => {
    let frozen: Date | undefined
    await withReplica(
      server,
      async (engine) => {
        const value = await opened(engine)
        frozen = now()
        await waitUntil(2000, () => engine.unready() !== undefined)
        await refusesAll(engine, value, "CLOCK")
        frozen = undefined
        await waitUntil(RECOVERY_MS, isReady(engine))
      },
      { clock: { now: () => frozen ?? now() }, clockBoundMs: 300 },
    )
  })

  check(`starts while the clocks differ, refuses S-06 everything, and goes on when they agree`, async () => {
    let offset = 3_600_000
    await withReplica(
      server,
      async (engine) => {
        await rejectsCode(() => engine.singleUse.seal(newValue(now())), "CLOCK")
        offset = 0
        await waitUntil(RECOVERY_MS, isReady(engine))
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
        const value = await opened(engine)
        isWrong = true
        await waitUntil(2000, () => engine.unready() !== undefined)
        await refusesAll(engine, value, "CLOCK")
      },
      { checkClock },
    )
  })
}

const checkKeys = (server: EngineServer, check: OnServer): void => {
  check("has replicas that come at once agree on one key", async () => {
    await server.wipe().catch(() => {}) // nothing was stored yet, should this test run alone
    const { engines, close } = await openFleet(server, 6)
    try {
      for (const sealer of engines) {
        const sealed = await sealer.singleUse.seal(newValue(now()))
        for (const { singleUse } of engines) await singleUse.open("attest", sealed, now())
      }
      const keys = await Promise.all(engines.map(({ epochKey }) => epochKey(now())))
      assert.is(new Set(keys.map((key) => key.export().toString("hex"))).size, 1)
    } finally {
      await close()
    }
  })

  check("refuses to start with another passphrase than the other replicas", () =>
    withReplica(server, async () => {
      await rejectsCode(
        () => openReplica(server, { records: createKeyRecords("another", createRandom()) }),
        "INPUT",
      )
    }),
  )

  check("keeps nothing that opens or tells of what was sealed", () =>
    withReplica(server, async (engine) => {
      const value = await opened(engine)
      await engine.singleUse.spend(value, now())
      const key = await engine.epochKey(now())
      const dump = await server.dump()
      for (const secret of [key.export(), Buffer.from(value.content)])
        for (const encoding of ["hex", "base64", "latin1"] as const)
          assert.not(dump.includes(secret.toString(encoding)))
      assert.ok(dump.includes("default"), "what is kept names its tenant")
    }),
  )
}
