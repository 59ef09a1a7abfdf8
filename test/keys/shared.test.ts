import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../src/bytes.ts"
import { createRandom } from "../../src/keys/random.ts"
import { sharedAuthority, sharedSigningKey } from "../../src/keys/shared.ts"
import type { KeyStore } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"
import { memoryKeys } from "../support/ports/keys.ts"

const test = suite("shared keys")
/** Of the form that needs no stretching. */
const [PASSPHRASE = "", OTHER = ""] = ["a", "b"].map((one) => `random-256-bit.${one.repeat(43)}`)
const making = { clock: { now: () => new Date("2026-03-01T12:00:00Z") }, random: createRandom() }
const FRESH = { algorithm: "ES256", lifetimeMs: 86_400_000 } as const
const signingKey = (keys: KeyStore, passphrase = PASSPHRASE) =>
  sharedSigningKey(keys, passphrase, FRESH, making)
const authority = (keys: KeyStore, passphrase = PASSPHRASE) =>
  sharedAuthority(keys, passphrase, "fleet.example", making)
const textOf = async (keys: KeyStore, name: string): Promise<string> =>
  new TextDecoder().decode(await keys.get(name))

/** Both keys, made once for all tests that only read them. */
const made = (async () => {
  const keys = memoryKeys()
  return { keys, signing: await signingKey(keys).ensure(), ca: await authority(keys).ensure() }
})()

test("are made once, and found by every replica with the passphrase", async () => {
  assert.is(await signingKey(memoryKeys()).read(), undefined)
  assert.is(await authority(memoryKeys()).read(), undefined)
  const { keys, signing, ca } = await made
  assert.equal(signing.notAfter, new Date("2026-03-02T12:00:00Z"))
  const other = sharedSigningKey(keys, PASSPHRASE, { ...FRESH, algorithm: "EdDSA" }, making)
  for (const found of [await signingKey(keys).read(), await other.ensure()])
    assert.is(found?.publicJwk.kid, signing.publicJwk.kid)
  assert.equal((await authority(keys).read())?.certificate.bytes, ca.certificate.bytes)
})

test("count as whoever was first made them", async () => {
  const keys = memoryKeys()
  const all = await Promise.all(Array.from({ length: 2 }, () => signingKey(keys).ensure()))
  assert.is(new Set(all.map(({ publicJwk }) => publicJwk.kid)).size, 1)
  const authorities = await Promise.all(Array.from({ length: 2 }, () => authority(keys).ensure()))
  assert.is(new Set(authorities.map(({ certificate }) => toHex(certificate.bytes))).size, 1)
})

test("are kept as the text of their files, which tells nothing without the passphrase", async () => {
  const { keys, signing } = await made
  assert.match(await textOf(keys, "signing-key"), /^Assay-Key: .*\n-----BEGIN ENCRYPTED PRIVATE KEY-----\n/)
  assert.match(
    await textOf(keys, "device-ca"),
    /^-----BEGIN CERTIFICATE-----\n[^-]*-----END CERTIFICATE-----\n-----BEGIN ENCRYPTED PRIVATE KEY-----\n/,
  )
  const { d: secret = "" } = signing.privateKey.export({ format: "jwk" })
  assert.is(secret.length, 43)
  assert.not.ok((await textOf(keys, "signing-key")).includes(secret))
})

test("refuse another passphrase than theirs, and make nothing in their place", async () => {
  const { keys } = await made
  for (const other of [signingKey(keys, OTHER), authority(keys, OTHER)])
    for (const act of [other.read, other.ensure]) {
      const error = await rejectsCode(act, "SIGNER")
      assert.match(error.message, /service_keys of the database/)
    }
})

const altered: [what: string, name: "signing-key" | "device-ca", change: (text: string) => string][] = [
  ["another key's line", "signing-key", (text) => text.replace("Assay-Key: e", "Assay-Key: f")],
  ["no line", "signing-key", (text) => text.slice(text.indexOf("\n") + 1)],
  ["half of it", "signing-key", (text) => text.slice(0, 200)],
  ["a CA without its certificate", "device-ca", (text) => text.slice(text.indexOf("-----BEGIN ENC"))],
  ["nothing", "device-ca", () => ""],
]
for (const [what, name, change] of altered)
  test(`refuse ${what} in place of ${name}`, async () => {
    const { keys } = await made
    const text = change(await textOf(keys, name))
    const there = { ...keys, get: async () => utf8(text) }
    const error = await rejectsCode(
      () => (name === "signing-key" ? signingKey(there).read() : authority(there).read()),
      "SIGNER",
    )
    assert.is(error.location, `service_keys of the database (${name})`)
  })

test("refuse to go on with a key that is gone again after it was made", async () => {
  await rejectsCode(() => signingKey({ ...memoryKeys(), get: async () => undefined }).ensure(), "SIGNER")
})

test.run()
