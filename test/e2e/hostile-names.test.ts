/**
 * Names that every object has, and texts that grow when they are read, before the running server, in this process: after each,
 * no object has a property that it did not have, and whoever is honest is let in.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type AdminClient, createAdminClient } from "../../src/client/admin.ts"
import { type AttestationClient, createAttestationClient } from "../../src/client/attestation.ts"
import { readConfig } from "../../src/config.ts"
import type { Code } from "../../src/errors.ts"
import { createLog, start } from "../../src/main.ts"
import { rejectsCode } from "../support/assert.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { answered, sessionOf } from "./server.ts"

const device = testDevice()
const test = suite("hostile names")
const folder = mkdtempSync(join(tmpdir(), "assay-names-"))
let stop: () => Promise<void>
let gateway: AttestationClient
let operator: AdminClient

test.before(async () => {
  const ports = { listen: ["127.0.0.1:0"], "web.public": "127.0.0.1:0", "web.private": "127.0.0.1:0" }
  const config = readConfig({ development: true, data: join(folder, "data"), ...ports }, {}, undefined)
  const running = await start(config, createLog("silent"))
  stop = running.stop
  const credential = readFileSync(running.credentials["gateway"] ?? "", "utf8").trim()
  gateway = createAttestationClient(running.listen[0] ?? "", { credential })
  operator = createAdminClient(running.admin)
  await operator.registerDevice({
    id: "honest",
    akPublic: device.akPublic,
    qualifiedName: device.qualifiedName,
  })
  await operator.setPolicy(policyDocument(device))
  await operator.assignPolicy({ policy: "test", device: "honest" })
})
test.after(async () => {
  gateway.close()
  operator.close()
  await stop()
  rmSync(folder, { recursive: true, force: true })
})

const SHARED = [Object, Array, Map, Set, Function, String, Uint8Array, Promise, Error].map(
  (one) => one.prototype,
)
const ownOf = (): readonly string[] => SHARED.map((one) => Reflect.ownKeys(one).map(String).join())
const before = ownOf()
const attack = (name: string, act: () => Promise<void>): void => {
  test(name, async () => {
    const since = performance.now()
    await act()
    assert.ok(performance.now() - since < 5000, "it took too long")
    assert.equal(ownOf(), before)
    assert.equal(Object.keys(Object.assign({}, new (class {})())), [])
    assert.type(sessionOf(await gateway.verify((await answered(gateway, device)).request)), "string")
  })
}

const good = policyDocument(device, { name: "bad" })
/** The policy with one more member, first in an object. */
const within = (opening: string, member: string): string => good.replace(opening, `${opening}${member},`)
const members: [name: string, text: () => string, code: Code][] = [
  ["a prototype", () => within("{", '"__proto__":{"polluted":1}'), "POLICY_SCHEMA"],
  ["a constructor", () => within("{", '"constructor":{"prototype":{"polluted":1}}'), "POLICY_SCHEMA"],
  [
    "a prototype of its session",
    () => within('"session":{', '"__proto__":{"admit":"none"}'),
    "POLICY_SCHEMA",
  ],
  ["a prototype of its PCRs", () => within('"sha256":{', `"__proto__":"${"0".repeat(64)}"`), "POLICY_SCHEMA"],
  [
    "a PCR that every object has",
    () => within('"sha256":{', `"toString":"${"0".repeat(64)}"`),
    "POLICY_SCHEMA",
  ],
  ["a prototype in YAML", () => "version: 1\nname: bad\n__proto__:\n  polluted: 1\n", "POLICY_SCHEMA"],
  [
    "a prototype by a merge",
    () => "version: 1\nname: bad\n<<: {__proto__: {polluted: 1}}\n",
    "POLICY_SCHEMA",
  ],
  ["aliases of aliases", () => aliases, "POLICY_SCHEMA"],
  ["thousands of numbers for names", () => `{${numbers(4000)}}`, "POLICY_SCHEMA"],
  ["thousands of numbers for PCRs", () => within('"sha256":{', numbers(3000)), "POLICY_SCHEMA"],
  ["a hundred thousand lists in each other", () => "[".repeat(60_000), "POLICY_SCHEMA"],
  ["more numbers for names than a policy has room for", () => `{${numbers(2 ** 17)}}`, "FIELD"],
]
const numbers = (count: number): string =>
  Array.from({ length: count }, (_, i) => `"${i * 65_536}":"0"`).join()
const aliases = `version: 1\na0: &a0 [x,x,x,x,x,x,x,x,x]\n${Array.from(
  { length: 9 },
  (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join()}]`,
).join("\n")}\n`
for (const [name, text, code] of members)
  attack(`refuses G-08 a policy with ${name}`, async () => {
    await rejectsCode(() => operator.setPolicy(text()), code)
    await rejectsCode(() => operator.getPolicy("bad"), "POLICY_NOT_FOUND")
  })

const NAMES = ["constructor", "tostring", "valueof", "hasownproperty", "prototype"]
for (const name of NAMES)
  attack(`takes G-08 ${name} for a name like any other`, async () => {
    await rejectsCode(() => operator.getDevice(name), "DEVICE_NOT_FOUND")
    await rejectsCode(() => operator.getPolicy(name), "POLICY_NOT_FOUND")
    await rejectsCode(() => gateway.createChallenge({ audience: "orders", policy: name }), "POLICY_NOT_FOUND")
    const labels = { [name]: "1" }
    const other = testDevice()
    const { akPublic, qualifiedName } = other
    await operator.registerDevice({ id: name, akPublic, qualifiedName })
    const etag = (await operator.getDevice(name)).device?.etag ?? ""
    const changed = { id: name, labels, updateMask: { paths: ["labels"] }, etag }
    const { device: after } = await operator.updateDevice(changed)
    assert.equal(Object.entries(after?.labels ?? {}), [[name, "1"]])
    const { devices } = await operator.listDevices({ filter: `labels.${name}=1` })
    assert.equal(
      devices.map(({ id }) => id),
      [name],
    )
    await operator.deleteDevice({ id: name, etag: after?.etag ?? "" })
  })
for (const name of ["__proto__", "constructor.prototype", "__proto__.polluted", "hasOwnProperty"])
  attack(`refuses G-08 a device, a label, a field and a filter by the name of ${name}`, async () => {
    const { akPublic } = testDevice()
    if (name !== "constructor.prototype")
      await rejectsCode(() => operator.registerDevice({ id: name, akPublic }), "FIELD")
    const etag = (await operator.getDevice("honest")).device?.etag ?? ""
    const update = (labels: Record<string, string>, paths: string[]) =>
      operator.updateDevice({ id: "honest", labels, updateMask: { paths }, etag })
    await rejectsCode(() => update({}, [name]), "FIELD")
    if (name !== "constructor.prototype")
      await rejectsCode(() => update(JSON.parse(`{"${name}":"1"}`), ["labels"]), "FIELD")
  })

test.run()
