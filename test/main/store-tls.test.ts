/** The store over TLS: it is spoken to only if it proves to be who the URL names. */
import { execFileSync } from "node:child_process"
import { randomInt } from "node:crypto"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { readConfig } from "../../src/config.ts"
import { createRandom } from "../../src/keys/random.ts"
import { openStore } from "../../src/main/store.ts"
import { rejectsCode } from "../support/assert.ts"
import {
  makeAuthority,
  makeServerCertificate,
  SERVER_AUTH,
  SERVER_AUTHORITY,
  writeAuthorities,
  writeServer,
} from "../support/callers.ts"
import { createPostgres, DURABLE, needs } from "../support/postgres.ts"
import { isThere } from "../support/prerequisites.ts"
import { basicConstraints, extKeyUsage, ip, keyUsage, subjectAltName } from "../support/x509.ts"

const test = suite("the store over TLS")
const onPostgres = needs("postgres", test)
const postgres = createPostgres({ settings: DURABLE, isInMemory: true })
test.after(() => postgres.stop())

/** Addresses of this machine that no other test listens on. */
const block = [127, randomInt(1, 255), randomInt(1, 255)] as const
const [NAMED, UNNAMED] = [[...block, 1].join("."), [...block, 2].join(".")]
const certificate = makeServerCertificate(SERVER_AUTHORITY, {
  extensions: [
    basicConstraints(false),
    keyUsage(0),
    extKeyUsage(SERVER_AUTH),
    subjectAltName([ip(...block, 1)]),
  ],
})
const start = async (settings: Readonly<Record<string, string>> = {}): Promise<void> => {
  const files = writeServer(postgres.socketFolder, certificate)
  if (process.getuid?.() === 0) execFileSync("chown", ["postgres:", files.key])
  await postgres.start({ listen_addresses: `${NAMED},${UNNAMED}`, ...settings })
}
test.before(async () => {
  if (isThere("postgres"))
    await start({
      ssl: "on",
      ssl_cert_file: join(postgres.socketFolder, "server.pem"),
      ssl_key_file: join(postgres.socketFolder, "server.key"),
    })
})

const open = (host: string, authority = SERVER_AUTHORITY) => {
  const root = writeAuthorities(postgres.socketFolder, "root", authority)
  const url = `postgres://assay@${host}/postgres?sslmode=verify-full&sslrootcert=${root}`
  const config = readConfig({}, { ASSAY_STORE: "postgres", ASSAY_STORE_URL: url }, undefined)
  return openStore(config, postgres.socketFolder, createRandom())
}

onPostgres(
  "is opened where the server is the one that was named, and all that is said to it is encrypted",
  async () => {
    const store = await open(NAMED)
    try {
      assert.is((await store.revisions()).tenants.size, 0)
      const connections = await postgres.query(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'assay-store'",
      )
      assert.ok(connections.length > 0)
      assert.ok(connections.every(({ ssl }) => ssl === true))
    } finally {
      await store.close()
    }
  },
)

onPostgres("is refused where the certificate is of another authority, or of another name", async () => {
  const stranger = await rejectsCode(() => open(NAMED, makeAuthority("Server CA")), "REGISTRY")
  assert.match(stranger.message, /certificate/)
  const unnamed = await rejectsCode(() => open(UNNAMED), "REGISTRY")
  assert.match(unnamed.message, /altnames/)
})

onPostgres("is refused where the server has no TLS at all", async () => {
  await postgres.kill()
  await start()
  const { message } = await rejectsCode(() => open(NAMED), "REGISTRY")
  assert.match(message, /SSL/)
})

test.run()
