/** Two servers on one engine, over gRPC: what one hands out, the other takes, once; and neither does anything without it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Running } from "../../src/cli/serve.ts"
import { createAdminClient } from "../../src/client/admin.ts"
import { type AttestationClient, createAttestationClient } from "../../src/client/attestation.ts"
import { readConfig } from "../../src/config.ts"
import { createLog, start } from "../../src/main.ts"
import { rejectsCode } from "../support/assert.ts"
import { useEngineServer, waitUntil } from "../support/engines.ts"
import { isThere } from "../support/prerequisites.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { answered, sessionOf } from "./server.ts"

const test = suite("servers that share an engine")
const device = testDevice()
/** Of the form that needs no stretching. */
const PASSPHRASE = `random-256-bit.${"r".repeat(43)}`

/** A server, and a gateway that calls it. */
interface Replica {
  readonly server: Running
  readonly gateway: AttestationClient
}

const startReplica = async (folder: string, kind: string, url: string): Promise<Replica> => {
  const flags = {
    development: true,
    data: folder,
    listen: ["127.0.0.1:0"],
    "web.public": "127.0.0.1:0",
    "web.private": "127.0.0.1:0",
  }
  const environment = { ASSAY_KEY_PASSPHRASE: PASSPHRASE, ASSAY_ENGINE: kind, ASSAY_ENGINE_URL: url }
  const server = await start(readConfig(flags, environment, undefined), createLog("silent"))
  const operator = createAdminClient(server.admin)
  const { akPublic, qualifiedName } = device
  await operator.registerDevice({ id: "device-1", akPublic, qualifiedName })
  await operator.setPolicy(policyDocument(device))
  await operator.assignPolicy({ policy: "test", device: "device-1" })
  operator.close()
  const credential = readFileSync(server.credentials["gateway"] ?? "", "utf8").trim()
  return { server, gateway: createAttestationClient(server.listen[0] ?? "", { credential }) }
}

const statusOf = async ({ server }: Replica): Promise<number> =>
  (await fetch(`${server.privateUrl}/readyz`)).status

for (const kind of ["redis", "postgres"] as const) {
  const { server: store, onServer } = useEngineServer(test, kind)
  const folder = mkdtempSync(join(tmpdir(), "assay-replicas-"))
  const replicas: Replica[] = []
  const both = (): readonly [Replica, Replica] => {
    const [one, other] = replicas
    if (one === undefined || other === undefined) throw new TypeError("two servers are there")
    return [one, other]
  }
  test.before(async () => {
    if (!isThere(kind)) return
    for (const name of ["one", "other"])
      replicas.push(await startReplica(join(folder, name), kind, store.url))
  })
  test.after(async () => {
    for (const { server, gateway } of replicas) {
      gateway.close()
      await server.stop()
    }
    rmSync(folder, { recursive: true, force: true })
  })

  onServer(
    `${kind}: a challenge of one is answered on the other, and refused N-01 on both from then on`,
    async () => {
      const [one, other] = both()
      const { request } = await answered(one.gateway, device)
      assert.ok(sessionOf(await other.gateway.verify(request)) !== undefined)
      for (const { gateway } of [one, other]) {
        const error = await rejectsCode(() => gateway.verify(request), "NONCE_SPENT")
        assert.is(error.challenge, "spent")
      }
      const epochs = [await one.gateway.getEpoch(), await other.gateway.getEpoch()]
      assert.equal(epochs[0]?.value, epochs[1]?.value)
    },
  )

  onServer(`${kind}: refuses S-01 challenges and tokens while the engine is away, and recovers`, async () => {
    const [one, other] = both()
    const { request } = await answered(one.gateway, device)
    assert.is(await statusOf(one), 200)
    await store.kill()
    const error = await rejectsCode(() => other.gateway.verify(request), "NONCE_STORE")
    assert.ok(error.challenge !== "none")
    await waitUntil(3000, async () => (await statusOf(one)) === 503)
    await rejectsCode(() => one.gateway.createChallenge({ audience: "orders" }), "NONCE_STORE")
    await rejectsCode(() => one.gateway.getEpoch(), "NONCE_STORE")
    await store.start()
    await waitUntil(5000, async () => (await statusOf(one)) === 200 && (await statusOf(other)) === 200)
    await rejectsCode(() => other.gateway.verify(request), ["NONCE_FENCED", "NONCE_UNKNOWN"])
    const next = await answered(one.gateway, device)
    assert.ok(sessionOf(await other.gateway.verify(next.request)) !== undefined)
  })
}

test.run()
