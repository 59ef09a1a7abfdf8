import * as assert from "uvu/assert"
import { utf8 } from "../../../src/bytes.ts"
import type { KeyStore } from "../../../src/service/ports.ts"
import type { Awaitable, Check } from "./check.ts"

/** Keys in memory. */
export const memoryKeys = (): KeyStore => {
  const keys = new Map<string, Uint8Array>()
  return {
    get: async (name) => keys.get(name)?.slice(),
    async putIfAbsent(name, pem) {
      if (keys.has(name)) return false
      keys.set(name, pem.slice())
      return true
    },
  }
}

/** What every store of keys does. `create` makes an empty one for each test. */
export const keysConformance = (test: Check, name: string, create: () => Awaitable<KeyStore>): void => {
  const check = (behavior: string, body: (keys: KeyStore) => Promise<void>): void =>
    test(`${name} ${behavior}`, async () => body(await create()))

  check("gives a key back as it was put, and nothing for a name that has none", async (keys) => {
    assert.is(await keys.get("signing-key"), undefined)
    const pem = utf8("-----BEGIN PRIVATE KEY-----\n\u0000\u00ff\n")
    assert.is(await keys.putIfAbsent("signing-key", pem), true)
    assert.equal(await keys.get("signing-key"), pem)
    assert.is(await keys.get("device-ca"), undefined)
  })

  check("leaves a key alone that is there", async (keys) => {
    await keys.putIfAbsent("signing-key", utf8("first"))
    assert.is(await keys.putIfAbsent("signing-key", utf8("second")), false)
    assert.equal(await keys.get("signing-key"), utf8("first"))
  })

  check("keeps of keys that are put at once one", async (keys) => {
    const put = await Promise.all(
      Array.from({ length: 10 }, (_, i) => keys.putIfAbsent("signing-key", utf8(`key ${i}`))),
    )
    const winner = put.indexOf(true)
    assert.is(put.filter(Boolean).length, 1)
    assert.equal(await keys.get("signing-key"), utf8(`key ${winner}`))
  })
}
