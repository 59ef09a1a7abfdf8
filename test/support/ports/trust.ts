import * as assert from "uvu/assert"
import { toHex } from "../../../src/bytes.ts"
import type { Registry, TrustImport, TrustStore } from "../../../src/service/ports.ts"
import type { TrustOptions } from "../../../src/store/trust.ts"
import { rejectsCode } from "../assert.ts"
import type { Awaitable, Check } from "./check.ts"
import {
  afterNoon,
  digestOf,
  idOf,
  NOON,
  newAct,
  newAnchor,
  newCrl,
  newDevice,
  newEk,
  newIntermediate,
  trustOf,
} from "./samples.ts"

/** A trust store, and the registry whose snapshots tell of it. */
export interface TrustUnderTest {
  readonly registry: Registry
  readonly trust: TrustStore
}

/** One of each sort. */
const ONE_OF_EACH: TrustImport = {
  anchors: [newAnchor("a")],
  intermediates: [newIntermediate("a")],
  crls: [newCrl("http://a.example/crl", 1)],
  eks: [newEk("a")],
}

const NO_STATE = { generation: 0, anchors: 0, intermediates: 0, crls: 0, eks: 0 }

/** All that a tenant can be told of its trust, fit to be compared. */
export const viewOf = async (trust: TrustStore, tenant = "default") => {
  const { generation, anchors, intermediates, crls } = await trust.trust(tenant)
  return {
    state: await trust.trustState(tenant),
    generation,
    anchors: anchors.map((anchor) => ({ ...anchor, certificate: toHex(anchor.certificate) })),
    intermediates: intermediates.map((one) => ({ ...one, certificate: toHex(one.certificate) })),
    crls: crls.map((list) => ({ ...list, crl: toHex(list.crl) })),
    eks: (await trust.listedEks(tenant, undefined, 1000)).map((ek) => ({ ...ek, digest: toHex(ek.digest) })),
  }
}

/** What every trust store does. `create` makes an empty one for each test. */
export const trustConformance = (
  test: Check,
  name: string,
  create: (options?: TrustOptions) => Awaitable<TrustUnderTest>,
): void => {
  const check = (
    behavior: string,
    body: (trust: TrustStore, registry: Registry) => Promise<void>,
    options: TrustOptions = {},
  ): void =>
    test(`${name} ${behavior}`, async () => {
      const { trust, registry } = await create(options)
      return body(trust, registry)
    })
  const labels = async (trust: TrustStore, tenant = "default"): Promise<string> =>
    (await trust.trust(tenant)).anchors.map(({ label }) => label).join()

  check("starts with nothing, at generation 0", async (trust) => {
    assert.equal(await viewOf(trust), {
      state: NO_STATE,
      generation: 0,
      anchors: [],
      intermediates: [],
      crls: [],
      eks: [],
    })
  })

  check("gives back what was imported", async (trust) => {
    const added = await trust.importTrust("default", ONE_OF_EACH, newAct("import-trust"))
    assert.equal(added, { generation: 1, added: 4, changed: 0 })
    const kept = { tenant: "default", addedAt: NOON }
    const { anchors, intermediates, crls } = await trust.trust("default")
    assert.equal(anchors, [{ ...newAnchor("a"), ...kept }])
    assert.equal(intermediates, [{ ...newIntermediate("a"), ...kept }])
    assert.equal(crls, [{ ...newCrl("http://a.example/crl", 1), ...kept }])
    assert.equal(await trust.listedEk("default", digestOf("ek a")), { ...newEk("a"), ...kept })
    assert.is(await trust.listedEk("default", digestOf("ek b")), undefined)
    assert.is(await trust.listedEk("default", new Uint8Array()), undefined)
    assert.equal(await trust.trustState("default"), {
      generation: 1,
      anchors: 1,
      intermediates: 1,
      crls: 1,
      eks: 1,
    })
  })

  check("gives back names of any letters, and every purpose and mode", async (trust) => {
    const purposes = ["ek", "ak", "any"] as const
    const modes = ["require", "when-published", "off"] as const
    const anchors = purposes.flatMap((purpose) =>
      modes.map((revocation) =>
        newAnchor(`${purpose} ${revocation} ≥ 😀`, { purpose, revocation, provenance: "" }),
      ),
    )
    await trust.importTrust("default", trustOf({ anchors }), newAct("import-trust"))
    const kept = (await trust.trust("default")).anchors
    const byId = anchors.toSorted((a, b) => (a.id < b.id ? -1 : 1))
    assert.equal(
      kept,
      byId.map((anchor) => ({ ...anchor, tenant: "default", addedAt: NOON })),
    )
  })

  check("keeps its own copy of the bytes", async (trust) => {
    const anchor = newAnchor("a")
    const ek = newEk("a")
    await trust.importTrust("default", trustOf({ anchors: [anchor], eks: [ek] }), newAct("import-trust"))
    anchor.certificate.fill(0)
    ek.digest.fill(0)
    assert.is(await labels(trust), "a")
    assert.is((await trust.listedEk("default", digestOf("ek a")))?.label, "a")
  })

  check(
    "moves the generation once for each import that changes anything, and for no other",
    async (trust) => {
      const three = trustOf({ anchors: ["a", "b", "c"].map((one) => newAnchor(one)) })
      assert.equal(await trust.importTrust("default", three, newAct("import-trust")), {
        generation: 1,
        added: 3,
        changed: 0,
      })
      const before = await viewOf(trust)
      assert.equal(await trust.importTrust("default", three, newAct("import-trust", { at: afterNoon(1) })), {
        generation: 1,
        added: 0,
        changed: 0,
      })
      assert.equal(
        await trust.importTrust("default", trustOf({}), newAct("import-trust", { at: afterNoon(1) })),
        {
          generation: 1,
          added: 0,
          changed: 0,
        },
      )
      assert.equal(await viewOf(trust), before)
      const more = trustOf({ ...three, eks: [newEk("a")] })
      assert.equal(await trust.importTrust("default", more, newAct("import-trust", { at: afterNoon(2) })), {
        generation: 2,
        added: 1,
        changed: 0,
      })
    },
  )

  for (const change of [
    { label: "another" },
    { purpose: "ak" },
    { revocation: "off" },
    { provenance: "another" },
  ] as const)
    check(`changes an anchor's ${Object.keys(change).join()} when it is imported again`, async (trust) => {
      await trust.importTrust("default", ONE_OF_EACH, newAct("import-trust"))
      const again = trustOf({ anchors: [newAnchor("a", change)] })
      assert.equal(await trust.importTrust("default", again, newAct("import-trust", { at: afterNoon(1) })), {
        generation: 2,
        added: 0,
        changed: 1,
      })
      assert.equal((await trust.trust("default")).anchors, [
        { ...newAnchor("a", change), tenant: "default", addedAt: NOON },
      ])
      assert.equal(await trust.importTrust("default", again, newAct("import-trust", { at: afterNoon(2) })), {
        generation: 2,
        added: 0,
        changed: 0,
      })
    })

  check("leaves an intermediate and a listed key as they are when they are imported again", async (trust) => {
    await trust.importTrust("default", ONE_OF_EACH, newAct("import-trust"))
    const before = await viewOf(trust)
    const again = trustOf({
      intermediates: [newIntermediate("a", { source: "http://a.example/ca" })],
      eks: [newEk("a", { label: "another" })],
    })
    assert.equal(await trust.importTrust("default", again, newAct("import-trust", { at: afterNoon(1) })), {
      generation: 1,
      added: 0,
      changed: 0,
    })
    assert.equal(await viewOf(trust), before)
  })

  check("takes what one import names twice once, the last settings and the last list", async (trust) => {
    const twice: TrustImport = {
      anchors: [newAnchor("a"), newAnchor("a", { label: "last" })],
      intermediates: [newIntermediate("a"), newIntermediate("a")],
      crls: [newCrl("a", 1), newCrl("a", 2)],
      eks: [newEk("a"), newEk("a")],
    }
    assert.equal(await trust.importTrust("default", twice, newAct("import-trust")), {
      generation: 1,
      added: 4,
      changed: 0,
    })
    assert.is(await labels(trust), "last")
    assert.is((await trust.trust("default")).crls[0]?.id, idOf("crl a 2"))
    assert.equal(await trust.importTrust("default", twice, newAct("import-trust")), {
      generation: 1,
      added: 0,
      changed: 0,
    })
  })

  check("keeps one list for each source, the newer in place of the older", async (trust) => {
    const first = trustOf({ crls: [newCrl("a", 1), newCrl("b", 1)] })
    await trust.importTrust("default", first, newAct("import-trust"))
    const newer = trustOf({ crls: [newCrl("a", 2)] })
    assert.equal(await trust.importTrust("default", newer, newAct("import-trust", { at: afterNoon(1) })), {
      generation: 2,
      added: 1,
      changed: 0,
    })
    const { crls } = await trust.trust("default")
    assert.equal(
      crls.map(({ source, id, addedAt }) => [source, id, addedAt]),
      [
        ["a", idOf("crl a 2"), afterNoon(1)],
        ["b", idOf("crl b 1"), NOON],
      ],
    )
  })

  const moved: [by: string, move: (trust: TrustStore) => Promise<unknown>][] = [
    [
      "a newer list",
      (trust) => trust.importTrust("default", trustOf({ crls: [newCrl("a", 3)] }), newAct("import-trust")),
    ],
    [
      "another anchor",
      (trust) => trust.importTrust("default", trustOf({ anchors: [newAnchor("b")] }), newAct("import-trust")),
    ],
    [
      "another setting",
      (trust) =>
        trust.importTrust(
          "default",
          trustOf({ anchors: [newAnchor("a", { revocation: "off" })] }),
          newAct("import-trust"),
        ),
    ],
    ["a removal", (trust) => trust.removeTrust("default", idOf("ek a"), newAct("remove-trust"))],
    [
      "a removal and its return",
      async (trust) => {
        await trust.removeTrust("default", idOf("root a"), newAct("remove-trust"))
        await trust.importTrust("default", trustOf({ anchors: [newAnchor("a")] }), newAct("import-trust"))
      },
    ],
  ]
  const compared = trustOf({ crls: [newCrl("a", 2)], eks: [newEk("b")] })
  for (const [by, move] of moved)
    check(`refuses S-04 an import that was compared with what ${by} has moved on`, async (trust) => {
      const { generation } = await trust.importTrust("default", ONE_OF_EACH, newAct("import-trust"))
      await move(trust)
      const before = await viewOf(trust)
      for (const expected of [generation, generation - 1, before.generation + 1])
        await rejectsCode(
          () => trust.importTrust("default", compared, newAct("import-trust"), expected),
          "SNAPSHOT_MOVED",
        )
      assert.equal(await viewOf(trust), before)
      assert.is(
        (await trust.importTrust("default", compared, newAct("import-trust"), before.generation)).added,
        2,
      )
    })

  check("accepts an import compared with the generation before the first, and with none", async (trust) => {
    assert.is((await trust.importTrust("default", compared, newAct("import-trust"), 0)).generation, 1)
    await rejectsCode(
      () => trust.importTrust("default", compared, newAct("import-trust"), 0),
      "SNAPSHOT_MOVED",
    )
    assert.is((await trust.importTrust("default", compared, newAct("import-trust"))).generation, 1)
    assert.is((await trust.importTrust("other", compared, newAct("import-trust"), 0)).generation, 1)
  })

  const removable: [what: string, id: string, left: string][] = [
    ["an anchor", idOf("root a"), "0 1 1 1"],
    ["an intermediate", idOf("ca a"), "1 0 1 1"],
    ["a revocation list", idOf("crl http://a.example/crl 1"), "1 1 0 1"],
    ["a listed key", idOf("ek a"), "1 1 1 0"],
  ]
  for (const [what, id, left] of removable)
    check(`removes ${what} by its id, once, and moves the generation`, async (trust) => {
      await trust.importTrust("default", ONE_OF_EACH, newAct("import-trust"))
      assert.equal(await trust.removeTrust("default", id, newAct("remove-trust")), { generation: 2 })
      const { anchors, intermediates, crls, eks } = await viewOf(trust)
      assert.is([anchors, intermediates, crls, eks].map(({ length }) => length).join(" "), left)
      await rejectsCode(() => trust.removeTrust("default", id, newAct("remove-trust")), "TRUST_NOT_FOUND")
      assert.is((await trust.trustState("default")).generation, 2)
      assert.equal(await trust.importTrust("default", ONE_OF_EACH, newAct("import-trust")), {
        generation: 3,
        added: 1,
        changed: 0,
      })
    })

  check("removes everything that has an id", async (trust) => {
    const { id, certificate } = newAnchor("a")
    const { crl } = newCrl("a", 1)
    const listId = idOf("crl a 1")
    const parts = trustOf({
      anchors: [newAnchor("a")],
      intermediates: [{ id, certificate, source: "import" }],
      crls: [newCrl("a", 1), { source: "mirror", id: listId, crl }],
    })
    await trust.importTrust("default", parts, newAct("import-trust"))
    await trust.removeTrust("default", id, newAct("remove-trust"))
    await trust.removeTrust("default", listId, newAct("remove-trust"))
    const { anchors, intermediates, crls } = await trust.trust("default")
    assert.equal([anchors, intermediates, crls], [[], [], []])
  })

  const unknownIds: [what: string, id: string][] = [
    ["no id", ""],
    ["another digest", idOf("root b")],
    ["an id in upper case", idOf("root a").toUpperCase()],
    ["an id cut short", idOf("root a").slice(2)],
    ["an id with a byte more", `${idOf("root a")}00`],
    ["a label", "a"],
  ]
  for (const [what, id] of unknownIds)
    check(`refuses to remove ${what}`, async (trust) => {
      await trust.importTrust("default", ONE_OF_EACH, newAct("import-trust"))
      const before = await viewOf(trust)
      await rejectsCode(() => trust.removeTrust("default", id, newAct("remove-trust")), "TRUST_NOT_FOUND")
      assert.equal(await viewOf(trust), before)
    })

  check("refuses S-09 to forget that the last anchor was removed: an empty set, moved on", async (trust) => {
    await trust.importTrust(
      "default",
      trustOf({ anchors: [newAnchor("a"), newAnchor("b")] }),
      newAct("import-trust"),
    )
    await trust.removeTrust("default", idOf("root a"), newAct("remove-trust"))
    await trust.removeTrust("default", idOf("root b"), newAct("remove-trust"))
    assert.equal(await trust.trustState("default"), { ...NO_STATE, generation: 3 })
    const { generation, anchors } = await trust.trust("default")
    assert.equal([generation, anchors], [3, []])
  })

  const wrong = idOf("something else")
  const mistaken: [what: string, parts: TrustImport][] = [
    ["an anchor under another id", trustOf({ anchors: [newAnchor("b", { id: wrong })] })],
    ["an intermediate under another id", trustOf({ intermediates: [newIntermediate("b", { id: wrong })] })],
    ["a list under another id", trustOf({ crls: [newCrl("b", 1, { id: wrong })] })],
    [
      "a list whose id is in upper case",
      trustOf({ crls: [newCrl("b", 1, { id: idOf("crl b 1").toUpperCase() })] }),
    ],
    ["an anchor without an id", trustOf({ anchors: [newAnchor("b", { id: "" })] })],
    [
      "a known anchor with bytes of another",
      trustOf({ anchors: [newAnchor("a", { certificate: newAnchor("b").certificate })] }),
    ],
    [
      "good ones before a mistaken one",
      { ...ONE_OF_EACH, anchors: [newAnchor("b"), newAnchor("c")], crls: [newCrl("b", 1, { id: wrong })] },
    ],
  ]
  for (const [what, parts] of mistaken)
    check(`refuses S-09 to import ${what}, and leaves all as it was`, async (trust) => {
      await trust.importTrust("default", ONE_OF_EACH, newAct("import-trust"))
      const before = await viewOf(trust)
      await rejectsCode(
        () => trust.importTrust("default", parts, newAct("import-trust", { at: afterNoon(1) })),
        "REGISTRY",
      )
      assert.equal(await viewOf(trust), before)
    })

  const overfull: [what: string, options: TrustOptions, parts: TrustImport][] = [
    ["anchors", { bounds: { anchors: 2 } }, trustOf({ anchors: [newAnchor("b"), newAnchor("c")] })],
    [
      "intermediates",
      { bounds: { intermediates: 2 } },
      trustOf({ intermediates: [newIntermediate("b"), newIntermediate("c")] }),
    ],
    ["lists", { bounds: { crls: 2 } }, trustOf({ crls: [newCrl("b", 1), newCrl("c", 1)] })],
    ["bytes of lists", { bounds: { crlBytes: 39 } }, trustOf({ crls: [newCrl("b", 1), newCrl("c", 1)] })],
    ["listed keys", { bounds: { eks: 2 } }, trustOf({ eks: [newEk("b"), newEk("c")] })],
  ]
  for (const [what, options, parts] of overfull)
    check(
      `refuses an import of too many ${what}, whole, and takes one that fits`,
      async (trust) => {
        await trust.importTrust("default", ONE_OF_EACH, newAct("import-trust"))
        const before = await viewOf(trust)
        const mixed = { ...parts, anchors: [...parts.anchors, newAnchor("a", { label: "renamed" })] }
        await rejectsCode(() => trust.importTrust("default", mixed, newAct("import-trust")), "TRUST_FULL")
        assert.equal(await viewOf(trust), before)
        const fits = {
          anchors: parts.anchors.slice(1),
          intermediates: parts.intermediates.slice(1),
          crls: parts.crls.slice(1),
          eks: parts.eks.slice(1),
        }
        await trust.importTrust("default", fits, newAct("import-trust"))
        await trust.importTrust("other", fits, newAct("import-trust"))
        await rejectsCode(() => trust.importTrust("default", parts, newAct("import-trust")), "TRUST_FULL")
      },
      options,
    )

  check(
    "has room again for what was removed or replaced by less",
    async (trust) => {
      const long = (source: string): TrustImport => trustOf({ crls: [newCrl(source, 1_000_000)] }) // 13 bytes
      await trust.importTrust("default", long("a"), newAct("import-trust"))
      await trust.importTrust("default", long("b"), newAct("import-trust"))
      await rejectsCode(() => trust.importTrust("default", long("c"), newAct("import-trust")), "TRUST_FULL")
      await trust.importTrust("default", trustOf({ crls: [newCrl("b", 1)] }), newAct("import-trust"))
      await rejectsCode(() => trust.importTrust("default", long("c"), newAct("import-trust")), "TRUST_FULL")
      await trust.removeTrust("default", idOf("crl b 1"), newAct("remove-trust"))
      await trust.importTrust("default", long("c"), newAct("import-trust"))
      assert.is((await trust.trust("default")).crls.length, 2)
    },
    { bounds: { crlBytes: 26 } },
  )

  check("lists endorsement keys page by page, in the order of their digests", async (trust) => {
    const eks = Array.from({ length: 25 }, (_, i) => newEk(`${i}`))
    await trust.importTrust("default", trustOf({ eks }), newAct("import-trust"))
    const pages: string[][] = []
    let after: Uint8Array | undefined
    for (let i = 0; i < 4; i++) {
      const page = await trust.listedEks("default", after, 10)
      pages.push(page.map(({ digest }) => toHex(digest)))
      after = page.at(-1)?.digest ?? after
    }
    assert.equal(
      pages.map(({ length }) => length),
      [10, 10, 5, 0],
    )
    assert.equal(pages.flat(), eks.map(({ digest }) => toHex(digest)).sort())
    assert.is((await trust.listedEks("default", undefined, 0)).length, 1)
    assert.is(
      (await trust.listedEks("default", digestOf("ek 1"), 1000)).every(({ label }) => label !== "1"),
      true,
    )
  })

  check("gives at most a thousand listed keys at once", async (trust) => {
    const eks = Array.from({ length: 1001 }, (_, i) => newEk(`${i}`))
    await trust.importTrust("default", trustOf({ eks }), newAct("import-trust"))
    assert.is((await trust.listedEks("default", undefined, 1_000_000)).length, 1000)
  })

  const foreign: [what: string, ask: (trust: TrustStore) => Promise<unknown>, answer: unknown][] = [
    ["its state", (trust) => trust.trustState("other"), NO_STATE],
    [
      "its anchors, intermediates and lists",
      (trust) => trust.trust("other"),
      { generation: 0, anchors: [], intermediates: [], crls: [] },
    ],
    ["its listed key", (trust) => trust.listedEk("other", digestOf("ek a")), undefined],
    ["its listed keys", (trust) => trust.listedEks("other", undefined, 10), []],
    ["its unknown issuers", (trust) => trust.pendingIssuers("other"), []],
    ["how many issuers it does not know", (trust) => trust.countPending("other"), 0],
  ]
  for (const [what, ask, answer] of foreign)
    check(`refuses P-06 to tell another tenant of ${what}`, async (trust) => {
      await trust.importTrust("default", ONE_OF_EACH, newAct("import-trust"))
      await trust.notePending("default", { id: idOf("x"), issuer: "CN=x", chain: [] }, NOON)
      assert.equal(await ask(trust), answer)
    })

  check("refuses P-06 to let one tenant change what another has", async (trust) => {
    const issuer = { id: idOf("x"), issuer: "CN=x", chain: [] }
    await trust.importTrust("default", ONE_OF_EACH, newAct("import-trust"))
    await trust.notePending("default", issuer, NOON)
    const before = await viewOf(trust)
    for (const [, id] of removable)
      await rejectsCode(() => trust.removeTrust("other", id, newAct("remove-trust")), "TRUST_NOT_FOUND")
    await rejectsCode(() => trust.pendingIssuer("other", issuer.id), "TRUST_NOT_FOUND")
    await rejectsCode(
      () => trust.dismissPending("other", issuer.id, newAct("dismiss-issuer")),
      "TRUST_NOT_FOUND",
    )
    const theirs = { ...ONE_OF_EACH, anchors: [newAnchor("a", { purpose: "ak", label: "theirs" })] }
    assert.equal(await trust.importTrust("other", theirs, newAct("import-trust")), {
      generation: 1,
      added: 4,
      changed: 0,
    })
    await trust.removeTrust("other", idOf("ca a"), newAct("remove-trust"))
    await trust.importTrust(
      "other",
      trustOf({ crls: [newCrl("http://a.example/crl", 2)] }),
      newAct("import-trust"),
    )
    assert.equal(await viewOf(trust), before)
    assert.is((await trust.pendingIssuers("default")).length, 1)
    assert.is(await labels(trust, "other"), "theirs")
  })

  check("tells the generation and the number of anchors with each snapshot", async (trust, registry) => {
    const { akName } = await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    const told = async (): Promise<readonly number[]> => {
      const { trustGeneration, anchors } = await registry.snapshotFor("default", akName)
      return [trustGeneration, anchors]
    }
    assert.equal(await told(), [0, 0])
    await trust.importTrust("other", ONE_OF_EACH, newAct("import-trust"))
    assert.equal(await told(), [0, 0])
    await trust.importTrust("default", ONE_OF_EACH, newAct("import-trust"))
    assert.equal(await told(), [1, 1])
    await trust.removeTrust("default", idOf("root a"), newAct("remove-trust"))
    assert.equal(await told(), [2, 0])
  })
}
