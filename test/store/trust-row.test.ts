import { statSync, truncateSync } from "node:fs"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../src/bytes.ts"
import { openSqliteStore } from "../../src/store/sqlite.ts"
import { rejectsCode } from "../support/assert.ts"
import { idOf, newAct, newAnchor, newCrl, newEk, newIntermediate, trustOf } from "../support/ports/samples.ts"
import { viewOf } from "../support/ports/trust.ts"
import { damage, scratch } from "./folder.ts"

const test = suite("rows of trust")
const { path } = scratch(test)

const TWO_OF_EACH = {
  anchors: [newAnchor("a"), newAnchor("b")],
  intermediates: [newIntermediate("a"), newIntermediate("b")],
  crls: [newCrl("a", 1), newCrl("b", 1)],
  eks: [newEk("a"), newEk("b")],
}

const damages: [what: string, sql: string][] = [
  [
    "an anchor with a flipped byte",
    "UPDATE trust_anchors SET certificate = CAST('rooT a' AS BLOB) WHERE label = 'a'",
  ],
  [
    "an anchor cut short",
    "UPDATE trust_anchors SET certificate = substr(certificate, 1, 3) WHERE label = 'a'",
  ],
  ["an anchor without bytes", "UPDATE trust_anchors SET certificate = x'' WHERE label = 'a'"],
  ["an anchor under another one's id", `UPDATE trust_anchors SET id = x'${idOf("other")}' WHERE label = 'a'`],
  ["an anchor of another purpose", "UPDATE trust_anchors SET purpose = 'ak' WHERE label = 'a'"],
  ["an anchor of an unknown purpose", "UPDATE trust_anchors SET purpose = 'EK' WHERE label = 'a'"],
  ["an anchor without revocation", "UPDATE trust_anchors SET revocation = 'off' WHERE label = 'a'"],
  ["an anchor with another label", "UPDATE trust_anchors SET label = 'c' WHERE label = 'a'"],
  ["an anchor whose digest is gone", "UPDATE trust_anchors SET digest = zeroblob(32) WHERE label = 'a'"],
  ["fewer anchors than there were", "DELETE FROM trust_anchors WHERE label = 'a'"],
  ["no anchors where there were some", "DELETE FROM trust_anchors"],
  [
    "an anchor that nobody imported",
    `INSERT INTO trust_anchors SELECT tenant, x'${idOf("root x")}', CAST('root x' AS BLOB), label, purpose,
       revocation, provenance, added_at, digest FROM trust_anchors WHERE label = 'a'`,
  ],
  ["an anchor that nobody counted", `DROP TRIGGER trust_state_update; UPDATE trust_state SET anchors = 1`],
  ["anchors without their state", "DROP TRIGGER trust_state_delete; DELETE FROM trust_state"],
  [
    "an intermediate with a flipped byte",
    "UPDATE trust_intermediates SET certificate = CAST('cA a' AS BLOB) WHERE id = (SELECT min(id) FROM trust_intermediates)",
  ],
  ["fewer intermediates than there were", "DELETE FROM trust_intermediates WHERE rowid = 1"],
  ["a list with a flipped byte", "UPDATE trust_crls SET crl = CAST('crl a 2' AS BLOB) WHERE source = 'a'"],
  ["fewer lists than there were", "DELETE FROM trust_crls WHERE source = 'a'"],
]
for (const [what, sql] of damages)
  test(`refuses S-09 to read ${what}`, async () => {
    const file = path()
    const { trust, close } = openSqliteStore(file)
    await trust.importTrust("default", TWO_OF_EACH, newAct("import-trust"))
    damage(file, sql)
    await rejectsCode(() => trust.trust("default"), "REGISTRY")
    close()
  })

test("refuses P-06 an anchor that somebody moved to another tenant, to both", async () => {
  const file = path()
  const { trust, close } = openSqliteStore(file)
  await trust.importTrust("default", trustOf({ anchors: [newAnchor("a")] }), newAct("import-trust"))
  await trust.importTrust("other", trustOf({ anchors: [newAnchor("b")] }), newAct("import-trust"))
  damage(file, "DELETE FROM trust_anchors WHERE tenant = 'other'; UPDATE trust_anchors SET tenant = 'other'")
  for (const tenant of ["default", "other"]) await rejectsCode(() => trust.trust(tenant), "REGISTRY")
  close()
})

test("has a remedy for a damaged anchor: to remove it and import it again", async () => {
  const file = path()
  const { trust, close } = openSqliteStore(file)
  await trust.importTrust("default", TWO_OF_EACH, newAct("import-trust"))
  const before = await viewOf(trust)
  damage(file, "UPDATE trust_anchors SET certificate = x'00' WHERE label = 'a'")
  await trust.importTrust("default", TWO_OF_EACH, newAct("import-trust"))
  await rejectsCode(() => trust.trust("default"), "REGISTRY")
  await trust.removeTrust("default", idOf("root a"), newAct("remove-trust"))
  await trust.importTrust("default", TWO_OF_EACH, newAct("import-trust"))
  assert.equal(await viewOf(trust), { ...before, generation: 3, state: { ...before.state, generation: 3 } })
  close()
})

test("refuses S-09 a file of which a part is gone", async () => {
  const file = path()
  const first = openSqliteStore(file)
  const anchors = Array.from({ length: 200 }, (_, i) => {
    const certificate = utf8(`root ${i} `.repeat(100))
    return newAnchor(`${i}`, { certificate, id: idOf(`root ${i} `.repeat(100)) })
  })
  await first.trust.importTrust("default", trustOf({ anchors }), newAct("import-trust"))
  await first.close()
  truncateSync(file, Math.floor(statSync(file).size / 2))
  await rejectsCode(async () => {
    const second = openSqliteStore(file)
    try {
      await second.trust.trust("default")
    } finally {
      second.close()
    }
  }, "REGISTRY")
})

test.run()
