/** S-01, S-02 and S-06 against engines that replicas share: stores that are away, slow, restarted or emptied. */
import * as assert from "uvu/assert"
import type { AssayError } from "../../../src/errors.ts"
import { createRandom } from "../../../src/keys/random.ts"
import { createKeyRecords } from "../../../src/store/engine/key-record.ts"
import { rejectsCode } from "../assert.ts"
import { type EngineServer, openFleet, openReplica, waitUntil } from "../engines.ts"
import {
  isReady,
  now,
  opened,
  RECOVERY_MS,
  recovers,
  refusesAll,
  withProxy,
  withReplica,
} from "../replicas.ts"
import { checkClocks } from "./shared-clocks.ts"
import { newValue } from "./single-use.ts"

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
      await recovers(engine)
    }),
  )

  check("refuses S-01 everything while its server hangs, each call within its second", () =>
    withReplica(server, async (engine) => {
      const value = await opened(engine)
      server.pause()
      try {
        const start = performance.now()
        await rejectsCode(() => engine.singleUse.spend(value, now()), "NONCE_STORE")
        assert.ok(performance.now() - start < 1500, "a call waits for a second")
        await waitUntil(4000, () => engine.unready() !== undefined)
        await refusesAll(engine, value, "NONCE_STORE")
      } finally {
        server.resume()
      }
      await recovers(engine)
    }),
  )

  check("refuses S-01 everything until a server that was away at the start comes", async () => {
    await server.kill()
    await withReplica(server, async (engine) => {
      assert.ok(engine.unready() !== undefined)
      await rejectsCode(() => engine.singleUse.seal(newValue(now())), "NONCE_STORE")
      await server.start()
      await recovers(engine)
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
      await recovers(engine)
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
        await recovers(engine)
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
      await recovers(engine)
      await rejectsCode(() => engine.singleUse.spend(value, now()), "NONCE_FENCED")
    }),
  )
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
