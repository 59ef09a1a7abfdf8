import * as assert from "uvu/assert"
import type { TrustStore } from "../../../src/service/ports.ts"
import type { TrustOptions } from "../../../src/store/trust.ts"
import { rejectsCode } from "../assert.ts"
import type { Awaitable, Check } from "./check.ts"
import { afterNoon, digestOf, idOf, NOON, newAct, newAnchor, trustOf } from "./samples.ts"
import { type TrustUnderTest, viewOf } from "./trust.ts"

/** What every trust store does with issuers that nobody decided about. `create` makes an empty one for each test. */
export const pendingConformance = (
  test: Check,
  name: string,
  create: (options?: TrustOptions) => Awaitable<TrustUnderTest>,
): void => {
  const check = (
    behavior: string,
    body: (trust: TrustStore) => Promise<void>,
    options: TrustOptions = {},
  ): void => test(`${name} ${behavior}`, async () => body((await create(options)).trust))
  const issuer = (name: string) => ({
    id: idOf(`name of ${name}`),
    issuer: `CN=${name}`,
    chain: [digestOf(`leaf of ${name}`), digestOf(name)],
  })
  const pendingNames = async (trust: TrustStore): Promise<string> =>
    (await trust.pendingIssuers("default")).map((one) => one.issuer).join()

  check("keeps an unknown issuer with the first chain, counts it, and trusts nothing", async (trust) => {
    await trust.importTrust("default", trustOf({ anchors: [newAnchor("a")] }), newAct("import-trust"))
    const before = await viewOf(trust)
    await trust.notePending("default", issuer("a"), NOON)
    await trust.notePending("default", { ...issuer("a"), chain: [digestOf("later")] }, afterNoon(2000))
    await trust.notePending("default", issuer("a"), afterNoon(1000))
    const { chain, ...entry } = issuer("a")
    const kept = { ...entry, tenant: "default", firstSeenAt: NOON, lastSeenAt: afterNoon(2000), count: 3 }
    assert.equal(await trust.pendingIssuers("default"), [kept])
    assert.equal(await trust.pendingIssuer("default", entry.id), { ...kept, chain })
    assert.equal(await viewOf(trust), before)
  })

  check("tells of unknown issuers, the latest first, until they are dismissed", async (trust) => {
    for (const [i, one] of ["a", "b", "c"].entries())
      await trust.notePending("default", issuer(one), afterNoon(i))
    await trust.notePending("default", issuer("a"), afterNoon(9))
    assert.is(await pendingNames(trust), "CN=a,CN=c,CN=b")
    await trust.dismissPending("default", issuer("c").id, newAct("dismiss-issuer"))
    assert.is(await pendingNames(trust), "CN=a,CN=b")
    assert.is(await trust.countPending("default"), 2)
    for (const id of [issuer("c").id, "", "CN=a", issuer("a").id.toUpperCase()]) {
      await rejectsCode(() => trust.pendingIssuer("default", id), "TRUST_NOT_FOUND")
      await rejectsCode(
        () => trust.dismissPending("default", id, newAct("dismiss-issuer")),
        "TRUST_NOT_FOUND",
      )
    }
    await trust.notePending("default", issuer("c"), afterNoon(10))
    assert.is((await trust.pendingIssuers("default"))[0]?.count, 1)
  })

  check(
    "lets the least lately seen issuer give way to a new one, whatever the clock says",
    async (trust) => {
      for (const [i, one] of ["a", "b", "c"].entries())
        await trust.notePending("default", issuer(one), afterNoon(i))
      await trust.notePending("default", issuer("a"), afterNoon(5))
      await trust.notePending("default", issuer("d"), afterNoon(6))
      assert.is(await pendingNames(trust), "CN=d,CN=a,CN=c")
      await trust.notePending("default", issuer("early"), afterNoon(-86_400_000))
      assert.is(await pendingNames(trust), "CN=d,CN=a,CN=early")
      await trust.notePending("other", issuer("theirs"), afterNoon(7))
      assert.is(await pendingNames(trust), "CN=d,CN=a,CN=early")
    },
    { pendingMax: 3 },
  )

  const chains: [what: string, sizes: readonly number[], kept: number][] = [
    ["no chain at all", [], 0],
    ["a chain of 64 KiB", [65_000, 536], 2],
    ["the first of a chain over 64 KiB", [65_000, 537, 1], 1],
    ["nothing of a certificate over 64 KiB", [65_537], 0],
    ["the first 64 of a thousand", new Array<number>(1000).fill(10), 64],
    ["empty certificates", [0, 0], 2],
  ]
  for (const [what, sizes, kept] of chains)
    check(`keeps ${what} for review`, async (trust) => {
      const chain = sizes.map((size) => new Uint8Array(size).fill(7))
      await trust.notePending("default", { ...issuer("a"), chain }, NOON)
      const found = await trust.pendingIssuer("default", issuer("a").id)
      assert.equal(
        found.chain.map(({ length }) => length),
        sizes.slice(0, kept),
      )
    })

  check("refuses an unknown issuer without an id", async (trust) => {
    for (const id of ["", "CN=a", issuer("a").id.toUpperCase()])
      await rejectsCode(() => trust.notePending("default", { ...issuer("a"), id }, NOON), "REGISTRY")
    assert.equal([await trust.pendingIssuers("default"), await trust.countPending("default")], [[], 0])
  })
}
