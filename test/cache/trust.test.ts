import { suite } from "uvu"
import * as assert from "uvu/assert"
import { cachedLoadTrust } from "../../src/cache/trust.ts"
import { AssayError } from "../../src/errors.ts"
import type { LoadTrust } from "../../src/service/ports.ts"
import { createTrust, type Trust } from "../../src/verification/trust.ts"
import { rejectsCode } from "../support/assert.ts"

const test = suite("cachedLoadTrust")

const empty = (): Trust =>
  createTrust({ anchors: [], intermediates: [], crls: [], denied: { size: 0, find: () => undefined } })

/** Loads one by one, when it is told to. */
const slow = () => {
  const waiting: { key: string; resolve(trust: Trust): void; reject(error: Error): void }[] = []
  const load: LoadTrust = (tenant, generation) =>
    new Promise((resolve, reject) => {
      waiting.push({ key: `${tenant} ${generation}`, resolve, reject })
    })
  return { load, waiting }
}

const counting = () => {
  const asked: string[] = []
  const load: LoadTrust = async (tenant, generation) => {
    asked.push(`${tenant} ${generation}`)
    return empty()
  }
  return { load, asked }
}

test("loads once for many calls, and counts both", async () => {
  const { load, asked } = counting()
  const cached = cachedLoadTrust(load, { max: 10 })
  assert.equal([cached.hits, cached.misses, cached.size], [0, 0, 0])
  const first = await cached.loadTrust("default", 1)
  for (let i = 0; i < 5; i++) assert.is(await cached.loadTrust("default", 1), first)
  assert.equal(asked, ["default 1"])
  assert.equal([cached.hits, cached.misses, cached.size], [5, 1, 1])
})

test("loads once for calls at the same time", async () => {
  const { load, waiting } = slow()
  const cached = cachedLoadTrust(load, { max: 10 })
  const calls = [1, 2, 3].map(() => cached.loadTrust("default", 1))
  assert.is(waiting.length, 1)
  const trust = empty()
  waiting[0]?.resolve(trust)
  assert.equal(new Set(await Promise.all(calls)), new Set([trust]))
  assert.equal([cached.hits, cached.misses, cached.size], [0, 3, 1])
})

test("keeps tenants and generations apart", async () => {
  const { load, asked } = counting()
  const cached = cachedLoadTrust(load, { max: 10 })
  const all = new Set<Trust>()
  for (const [tenant, generation] of [
    ["a", 1],
    ["b", 1],
    ["a1", 1],
    ["a", 11],
    ["a", 12],
  ] as const)
    all.add(await cached.loadTrust(tenant, generation))
  assert.is(all.size, 5)
  assert.is(asked.length, 5)
  assert.is(cached.size, 3)
})

test("lets the older generation of a tenant go", async () => {
  const { load, asked } = counting()
  const cached = cachedLoadTrust(load, { max: 10 })
  const first = await cached.loadTrust("default", 1)
  await cached.loadTrust("default", 2)
  assert.is(cached.size, 1)
  assert.is.not(await cached.loadTrust("default", 1), first)
  assert.equal(asked, ["default 1", "default 2", "default 1"])
  await cached.loadTrust("default", 2)
  assert.equal([asked.length, cached.size], [3, 1])
})

test("does not put a generation in the place of a newer one that was loaded faster", async () => {
  const { load, waiting } = slow()
  const cached = cachedLoadTrust(load, { max: 10 })
  const older = cached.loadTrust("default", 1)
  const newer = cached.loadTrust("default", 2)
  waiting[1]?.resolve(empty())
  const kept = await newer
  waiting[0]?.resolve(empty())
  await older
  const again = cached.loadTrust("default", 2)
  assert.is(waiting.length, 2)
  assert.is(await again, kept)
  assert.is(cached.size, 1)
})

test("holds no more tenants than it may", async () => {
  const { load, asked } = counting()
  const cached = cachedLoadTrust(load, { max: 2 })
  for (const tenant of ["a", "b", "c", "a"]) await cached.loadTrust(tenant, 1)
  assert.is(cached.size, 2)
  assert.is(asked.length, 4)
})

for (const code of ["TRUST", "REGISTRY"] as const)
  test(`refuses S-09 to remember a failure: ${code}`, async () => {
    let fails = true
    const cached = cachedLoadTrust(
      async () => {
        if (fails) throw new AssayError(code, "not now")
        return empty()
      },
      { max: 10 },
    )
    await rejectsCode(() => cached.loadTrust("default", 1), code)
    await Promise.all([1, 2].map(() => rejectsCode(() => cached.loadTrust("default", 1), code)))
    assert.is(cached.size, 0)
    fails = false
    assert.ok(await cached.loadTrust("default", 1))
    assert.equal([cached.hits, cached.misses, cached.size], [0, 4, 1])
  })

test("refuses S-09 the older generation when the newer one cannot be loaded", async () => {
  const cached = cachedLoadTrust(
    async (_tenant, generation) => {
      if (generation === 2) throw new AssayError("TRUST", "damaged")
      return empty()
    },
    { max: 10 },
  )
  await cached.loadTrust("default", 1)
  await rejectsCode(() => cached.loadTrust("default", 2), "TRUST")
})

test.run()
