import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type Config, readConfig } from "../../src/config.ts"
import { createRandom } from "../../src/keys/random.ts"
import { engineSettings } from "../../src/main/engine.ts"
import { initKeys, openKeys } from "../../src/main/keys.ts"
import { openStore, sharedStore } from "../../src/main/store.ts"
import type { Store } from "../../src/store/store.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { memoryKeys } from "../support/ports/keys.ts"
import { newAct, newPolicy, newRecord } from "../support/ports/samples.ts"
import { DURABLE, needs, usePostgres } from "../support/postgres.ts"

const test = suite("the store of the settings")
const server = usePostgres(test, { settings: DURABLE, isInMemory: true })
const onPostgres = needs("postgres", test)

const scratch = mkdtempSync(join(tmpdir(), "assay-main-"))
test.after(() => rmSync(scratch, { recursive: true }))
let folders = 0
const folder = (): string => {
  const made = join(scratch, `${folders++}`)
  mkdirSync(made)
  return made
}
/** Of the form that needs no stretching. */
const [PASSPHRASE, OTHER] = ["a", "b"].map((character) => `random-256-bit.${character.repeat(43)}`)
const random = createRandom()
const clock = { now: () => new Date() }
const postgresAt = (url: string, passphrase = PASSPHRASE, document?: string): Config =>
  readConfig(
    {},
    { ASSAY_KEY_PASSPHRASE: passphrase, ASSAY_STORE: "postgres", ASSAY_STORE_URL: url },
    document,
  )

/** Two replicas of one database, which end with the test. */
const withReplicas = async (
  act: (config: Config, one: Store, other: Store) => Promise<void>,
): Promise<void> => {
  const config = postgresAt(await server.createDatabase())
  const stores = await Promise.all([folder(), folder()].map((data) => openStore(config, data, random)))
  const [one, other] = stores
  try {
    if (one !== undefined && other !== undefined) await act(config, one, other)
  } finally {
    for (const store of stores) await store.close()
  }
}

onPostgres("has a chain of the journal for each data folder, and the same after a restart", async () => {
  const config = postgresAt(await server.createDatabase())
  const [one, two] = [folder(), folder()]
  const writers: string[] = []
  for (const data of [one, two, one]) {
    const { journal, archive, close } = await openStore(config, data, random)
    await journal.append(newRecord("device-1"))
    writers.push(await archive.writer())
    await close()
  }
  assert.is(writers[0], writers[2])
  assert.is.not(writers[0], writers[1])
  writeFileSync(join(two, "replica"), "another name")
  await rejectsCode(() => openStore(config, two, random), "SIGNER")
})

onPostgres("shares what one replica writes, and the keys that were made once", () =>
  withReplicas(async (config, one, other) => {
    await one.registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
    assert.is((await other.registry.policy("default", "base")).document, "one")

    const parts = ({ keys }: Store) => ({ keys, clock, random })
    const error = await rejectsCode(() => openKeys(config, folder(), parts(one)), "SIGNER")
    assert.match(error.message, /assay init/)
    const [told] = await Promise.all([one, other].map((store) => initKeys(config, folder(), parts(store))))
    assert.match(
      `${told?.key} ${told?.deviceCa}`,
      /^service_keys of the database .* service_keys of the database/,
    )
    const [here, there] = [
      await openKeys(config, folder(), parts(one)),
      await openKeys(config, folder(), parts(other)),
    ]
    assert.is(here.signing.publicJwk.kid, there.signing.publicJwk.kid)
    assert.equal(here.deviceCa.certificate.bytes, there.deviceCa.certificate.bytes)

    const refused: readonly [config: Config, reason: RegExp][] = [
      [postgresAt("postgres://127.0.0.1", OTHER), /the passphrase is wrong/],
      [
        postgresAt("postgres://127.0.0.1", undefined, "deviceAuthority: {trustDomain: other.example}"),
        /another trust domain/,
      ],
    ]
    const kept = await one.keys.get("device-ca")
    for (const [stranger, reason] of refused)
      for (const act of [openKeys, initKeys]) {
        const { message } = await rejectsCode(() => act(stranger, folder(), parts(other)), "SIGNER")
        assert.match(message, reason)
      }
    assert.equal(await one.keys.get("device-ca"), kept)
  }),
)

test("takes keys from files that are named, whatever the store", async () => {
  const data = folder()
  const [key, ca] = [join(data, "own.pem"), join(data, "ca.pem")]
  const config = postgresAt(
    "postgres://127.0.0.1/assay",
    undefined,
    `{key: {file: '${key}'}, deviceAuthority: {file: '${ca}'}}`,
  )
  const keys = memoryKeys()
  assert.equal(await initKeys(config, data, { keys, clock, random }), { key, deviceCa: ca })
  assert.match(readFileSync(key, "utf8"), /^Assay-Key/)
  assert.is(await keys.get("signing-key"), undefined)
  await openKeys(config, data, { keys, clock, random })
})

test("reads the URL from a file that nobody else can read", () => {
  const file = join(folder(), "url")
  const url = "postgres://assay:secret@db/assay?sslmode=verify-full"
  writeFileSync(file, `${url}\n`, { mode: 0o600 })
  const config = readConfig({}, {}, `store: {kind: postgres, urlFile: '${file}', schema: own}`)
  assert.equal(sharedStore(config), { url, schema: "own", plaintext: false })
  chmodSync(file, 0o644)
  throwsCode(() => sharedStore(config), "SIGNER")
  assert.is(sharedStore(readConfig({}, {}, undefined)), undefined)
})

test("has the engine where the store is, unless it is told otherwise", () => {
  const url = "postgres://127.0.0.1/assay"
  const kindAt = (document: string): unknown => engineSettings(postgresAt(url, "p", document))
  const there = { kind: "postgres", url, schema: "assay_engine", plaintext: false }
  assert.equal(kindAt("{}"), there)
  assert.equal(kindAt("engine: {kind: postgres}"), there)
  assert.equal(kindAt("{store: {plaintext: true}, engine: {schema: own}}"), {
    ...there,
    schema: "own",
    plaintext: true,
  })
  assert.equal(kindAt("engine: {kind: memory}"), { kind: "memory" })
  assert.equal(kindAt("engine: {kind: postgres, url: 'postgres://127.0.0.1/own'}"), {
    ...there,
    url: "postgres://127.0.0.1/own",
  })
  assert.equal(engineSettings(readConfig({}, {}, undefined)), { kind: "memory" })
})

const elsewhere: [what: string, url: string][] = [
  ["a host", "postgres://assay@db.example/assay"],
  ["a host whose TLS anybody can offer", "postgres://assay@db.example/assay?sslmode=require"],
  ["an address", "postgres://assay@192.0.2.1/assay"],
  ["an address by parameter", "postgres://assay@127.0.0.1/assay?host=192.0.2.1"],
  ["what only its driver reads", "postgres://assay@/assay?host=192.0.2.1"],
]
for (const [what, url] of elsewhere)
  test(`refuses to say anything to ${what} without TLS that proves who it is`, async () => {
    const error = await rejectsCode(() => openStore(postgresAt(url), folder(), random), "INPUT")
    assert.is(error.location, "store.url")
  })

test.run()
