import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { TrustStore } from "../../src/service/ports.ts"
import { createSqliteStore } from "../../src/store/sqlite.ts"
import { openSqlite } from "../../src/store/sqlite-database.ts"
import { memoryStore } from "../support/ports/memory.ts"
import {
  afterNoon,
  idOf,
  newAct,
  newAnchor,
  newCrl,
  newEk,
  newIntermediate,
  trustOf,
} from "../support/ports/samples.ts"
import { viewOf } from "../support/ports/trust.ts"
import { scratch } from "./folder.ts"

const test = suite("createSqliteTrust and memoryTrust")
const { path } = scratch(test)

const few = fc.constantFrom("a", "b", "c")
const step = fc.oneof(
  fc.record({
    kind: fc.constant("import" as const),
    anchors: fc.array(fc.tuple(few, fc.constantFrom("ek" as const, "ak" as const)), { maxLength: 3 }),
    crls: fc.array(fc.tuple(few, fc.nat({ max: 2 })), { maxLength: 3 }),
    eks: fc.array(few, { maxLength: 3 }),
    expected: fc.option(fc.nat({ max: 3 }), { nil: undefined }),
    mistaken: fc.nat({ max: 5 }).map((n) => n === 0),
  }),
  fc.record({
    kind: fc.constant("remove" as const),
    id: fc.oneof(
      few.map((name) => idOf(`root ${name}`)),
      few.map((name) => idOf(`ek ${name}`)),
      few.map((name) => idOf(`crl ${name} 1`)),
    ),
  }),
  fc.record({ kind: fc.constant("note" as const), name: few, ms: fc.nat({ max: 5 }) }),
)

test("does what the store in memory does, whatever is asked of both", async () => {
  const options = { bounds: { anchors: 2, crls: 2, crlBytes: 20, eks: 2 }, pendingMax: 2 }
  const database = openSqlite(path())
  database.exec("PRAGMA synchronous = OFF")
  const sqlite = createSqliteStore(database, { trust: options }).trust
  let runs = 0
  const outcome = async (act: () => Promise<unknown>): Promise<unknown> =>
    act().catch((error: { readonly code: string }) => error.code)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const tenant = `tenant ${runs++}`
      const { trust: memory } = memoryStore(options)
      for (const [i, what] of steps.entries()) {
        const act = (trust: TrustStore) => (): Promise<unknown> => {
          switch (what.kind) {
            case "import":
              return trust.importTrust(
                tenant,
                trustOf({
                  anchors: what.anchors.map(([name, purpose]) => newAnchor(name, { purpose })),
                  crls: what.crls.map(([name, number]) => newCrl(name, number)),
                  eks: what.eks.map((name) => newEk(name)),
                  intermediates: what.mistaken ? [newIntermediate("a", { id: idOf("x") })] : [],
                }),
                newAct("import-trust", { at: afterNoon(i) }),
                what.expected,
              )
            case "remove":
              return trust.removeTrust(tenant, what.id, newAct("remove-trust"))
            case "note":
              return trust.notePending(
                tenant,
                { id: idOf(what.name), issuer: what.name, chain: [] },
                afterNoon(what.ms),
              )
          }
        }
        assert.equal(await outcome(act(sqlite)), await outcome(act(memory)))
        assert.equal(await viewOf(sqlite, tenant), await viewOf(memory, tenant))
        assert.equal(await sqlite.pendingIssuers(tenant), await memory.pendingIssuers(tenant))
        assert.is(await sqlite.countPending(tenant), await memory.countPending(tenant))
      }
    }),
    { numRuns: 150 },
  )
  database.close()
})

test.run()
