import { chmodSync, existsSync, readdirSync, writeFileSync } from "node:fs"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { CheckedSetting } from "../../src/cli/check-config.ts"
import { readConfig } from "../../src/config.ts"
import { createRandom } from "../../src/keys/random.ts"
import { checkConfig } from "../../src/main/check.ts"
import { initKeys } from "../../src/main/keys.ts"
import { inFolder } from "../server/fake.ts"
import { pem, SERVER, SERVER_AUTHORITY, writeAuthorities, writeServer } from "../support/callers.ts"
import { memoryKeys } from "../support/ports/keys.ts"
import { makeIssuer } from "../support/tokens.ts"
import { p256Keys } from "../support/x509.ts"

const test = suite("checkConfig")
const AT = new Date()
const PASSPHRASE = `random-256-bit.${"x".repeat(43)}`

/** What was found, by setting: a finding, or the code of a fault. */
const found = (checked: readonly CheckedSetting[]): Readonly<Record<string, string>> =>
  Object.fromEntries(checked.map((one) => [one.setting, "finding" in one ? one.finding : one.fault.code]))

/** Settings of a server outside of development mode, with all their files but for the keys, whose encryption takes time. */
const settingsIn = (folder: string) => {
  const settings = {
    data: folder,
    listen: [`unix:${folder}/assay.sock`, { address: "0.0.0.0:7400", tls: writeServer(folder) }],
    web: { public: "[::]:443", tls: writeServer(folder), private: "10.0.0.5:7402" },
    key: { passphraseFile: `${folder}/passphrase` },
    credentials: [{ name: "edge", file: `${folder}/edge`, role: "gateway", tenant: "acme" }],
    clientCertificates: [
      {
        name: "mesh",
        authority: writeAuthorities(folder, "mesh", SERVER_AUTHORITY),
        role: "backend",
        id: "spiffe",
      },
    ],
    tokenIssuers: [
      {
        name: "idp",
        issuer: "https://idp.example",
        audience: "assay",
        keys: `${folder}/jwks.json`,
        role: { claim: "roles", values: { ops: "operator" } },
      },
    ],
  }
  for (const name of ["passphrase", "edge"]) writeFileSync(`${folder}/${name}`, PASSPHRASE, { mode: 0o600 })
  writeFileSync(`${folder}/jwks.json`, JSON.stringify({ keys: [makeIssuer("ES256").jwk] }))
  return readConfig({}, {}, JSON.stringify(settings))
}

test("says what would be served, and by whom it could be called", () =>
  inFolder(async (folder) => {
    const config = settingsIn(folder)
    await initKeys(config, folder, { keys: memoryKeys(), clock: { now: () => AT }, random: createRandom() })
    const before = readdirSync(folder).sort()
    const { key = "", deviceAuthority = "", ...others } = found(checkConfig(config, AT))
    assert.equal(others, {
      data: folder,
      "listen.0": `unix:${folder}/assay.sock: gRPC in plaintext on this machine, for callers with a credential`,
      "listen.1": "0.0.0.0:7400: gRPC with TLS, as CN=server until 2040-01-01T00:00:00.000Z",
      admin: `unix:${folder}/admin.sock: an operator`,
      "web.public":
        "https://[::]:443: keys, discovery and the epoch, as CN=server until 2040-01-01T00:00:00.000Z",
      "web.private": "http://10.0.0.5:7402: metrics and probes",
      "credentials.edge": "gateway of acme, on this machine",
      "clientCertificates.mesh": "backend of default, by certificates of CN=Server CA, without revocation",
      "tokenIssuers.idp":
        "what the claim roles says of default, by tokens of https://idp.example under 1 keys",
      store: `${folder}/assay.db`,
      engine: "memory",
    })
    assert.match(key, /^signs with ES256 as \S+ until /)
    assert.match(deviceAuthority, /^issues to devices of assay\.internal until /)
    assert.equal(readdirSync(folder).sort(), before, "nothing was made")
    writeFileSync(`${folder}/passphrase`, "another passphrase")
    assert.is(found(checkConfig(config, AT))["key"], "SIGNER")
  }))
test("says in development mode what would be made", () =>
  inFolder(async (folder) => {
    const data = `${folder}/data`
    const checked = found(checkConfig(readConfig({ development: true, data }, {}, undefined), AT))
    assert.equal(checked, {
      data: `${data} is made at the first start`,
      "listen.0": "127.0.0.1:7400: gRPC in plaintext on this machine, for gateways without a credential too",
      "listen.1": `unix:${data}/assay.sock: gRPC in plaintext on this machine, for gateways without a credential too`,
      admin: `unix:${data}/admin.sock: an operator`,
      "web.public": "http://127.0.0.1:7401: keys, discovery and the epoch",
      "web.private": "http://127.0.0.1:7402: metrics and probes",
      key: `${data}/signing-key.pem is made at the first start`,
      deviceAuthority: `${data}/device-ca.pem is made at the first start`,
      "credentials.gateway": `${data}/gateway.credential is made at the first start`,
      "credentials.backend": `${data}/backend.credential is made at the first start`,
      store: `${data}/assay.db`,
      engine: "memory",
    })
    assert.not.ok(existsSync(data))
  }))
test("finds everything that is wrong at once", () =>
  inFolder(async (folder) => {
    const config = readConfig(
      {},
      {},
      JSON.stringify({
        data: `${folder}/absent`,
        listen: ["127.0.0.1:7400", { address: "assay.example:1", tls: { certificate: "a", key: "b" } }],
        admin: "127.0.0.1:1",
        web: { public: "0.0.0.0:80", private: "8.8.8.8:80" },
        credentials: [{ name: "edge", file: `${folder}/absent`, role: "gateway" }],
        clientCertificates: [{ name: "mesh", authority: `${folder}/absent`, role: "backend", id: "spiffe" }],
        tokenIssuers: [
          { name: "idp", issuer: "i", audience: "a", keys: `${folder}/absent`, role: "backend" },
        ],
        store: { kind: "postgres", urlFile: `${folder}/absent` },
        engine: { kind: "redis", urlFile: `${folder}/absent` },
      }),
    )
    assert.equal(found(checkConfig(config, AT)), {
      data: "INPUT",
      "listen.0": "INPUT",
      "listen.1": "INPUT",
      admin: "INPUT",
      "web.public": "INPUT",
      "web.private": "INPUT",
      key: "SIGNER",
      deviceAuthority: "SIGNER",
      "credentials.edge": "SIGNER",
      "clientCertificates.mesh": "INPUT",
      "tokenIssuers.idp": "INPUT",
      store: "SIGNER",
      engine: "SIGNER",
    })
  }))
test("says where replicas would find what they share, and nothing of how they get at it", () =>
  inFolder(async (folder) => {
    writeFileSync(`${folder}/passphrase`, PASSPHRASE, { mode: 0o600 })
    const url = "postgres://assay:hunter2@db.example/assay?sslmode=verify-full"
    const at = (environment: Record<string, string>, document: object) =>
      checkConfig(readConfig({ data: folder }, environment, JSON.stringify(document)), AT)
    const key = { passphraseFile: `${folder}/passphrase` }
    const checked = at({ ASSAY_STORE_URL: url }, { store: { kind: "postgres" }, key })
    const { store, engine, ...others } = found(checked)
    assert.is(store, "PostgreSQL at db.example, schema assay")
    assert.is(engine, "PostgreSQL at db.example, schema assay_engine")
    assert.is(others["key"], "in the database, where `assay init` makes it")
    assert.is(others["deviceAuthority"], others["key"])
    assert.not.match(JSON.stringify(checked), /hunter2|horse/)
    const unprotected = { kind: "postgres", url: "postgres://db.example/assay" }
    assert.equal(
      { ...found(at({}, { store: unprotected, engine: { kind: "redis", url: "redis://db.example" } })) },
      { ...found(at({}, { store: unprotected })), key: "SIGNER", store: "INPUT", engine: "INPUT" },
    )
    const said = found(at({}, { key, store: { ...unprotected, plaintext: true } }))
    assert.is(said["engine"], "PostgreSQL at db.example, schema assay_engine")
  }))

const damages: [name: string, setting: string, code: string, damage: (folder: string) => void][] = [
  [
    "a key of another certificate",
    "listen.1",
    "INPUT",
    (folder) => writeServer(folder, { ...SERVER, keys: p256Keys() }),
  ],
  [
    "a certificate that is cut off",
    "web.public",
    "INPUT",
    (folder) => writeFileSync(`${folder}/server.pem`, pem(SERVER.der).slice(0, 99)),
  ],
  [
    "a secret that others can read",
    "credentials.edge",
    "SIGNER",
    (folder) => chmodSync(`${folder}/edge`, 0o644),
  ],
  [
    "CAs that are none",
    "clientCertificates.mesh",
    "INPUT",
    (folder) => writeFileSync(`${folder}/mesh.pem`, "x\n"),
  ],
  ["keys that are none", "tokenIssuers.idp", "INPUT", (folder) => writeFileSync(`${folder}/jwks.json`, "{}")],
]
for (const [name, setting, code, damage] of damages)
  test(`refuses ${name}, and says where`, () =>
    inFolder(async (folder) => {
      const config = settingsIn(folder)
      damage(folder)
      const checked = checkConfig(config, AT)
      assert.is(found(checked)[setting], code)
      assert.not.match(JSON.stringify(checked), /horse|PRIVATE/)
    }))
test.run()
