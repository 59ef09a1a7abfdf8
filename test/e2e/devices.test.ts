/** What the README says: a device with a TPM joins by three commands, outlives a restart, and is refused when it is revoked. */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { standardBoot } from "../../src/device/boot.ts"
import { createSoftwareDevice } from "../../src/device/software.ts"
import { needs } from "../support/vectors.ts"
import { policyDocument } from "../support/world.ts"
import { assayHere, type Ended, inFolder } from "./programs.ts"
import { type ServerProcess, serve } from "./server.ts"

const test = suite("a device's life, from the command line")

const jsonOf = ({ stdout }: Ended): Record<string, unknown> => JSON.parse(stdout)
const memberOf = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined
const codesOf = (ended: Ended): unknown[] => {
  const findings = jsonOf(ended)["findings"]
  return Array.isArray(findings)
    ? findings.map((one) => memberOf(one, "code")).filter((code) => code !== "")
    : []
}

/** The commands of an operator, over the administration socket. */
const operatorOf =
  ({ admin }: ServerProcess) =>
  (...args: readonly string[]): Promise<Ended> =>
    assayHere([...args, "--admin", admin])

needs("swtpm", test)("joins by three commands, outlives a restart, and is refused when it is revoked", () =>
  inFolder(async (folder) => {
    const token = join(folder, "token")
    const tpm = join(folder, "press-3")
    const maker = join(folder, "data", "software-tpm-maker.pem")
    const agent = ({ tcp }: ServerProcess, ...args: readonly string[]): Promise<Ended> =>
      assayHere(["agent", ...args, "--address", tcp, "--swtpm", tpm, "--swtpm-maker", maker])

    let server = await serve(folder)
    let operator = operatorOf(server)
    try {
      const created = await operator("enrollment-token", "create", "--out", token, "--group", "edge")
      assert.is(created.status, 0, created.stderr)
      assert.is(statSync(token).mode & 0o777, 0o600)
      assert.not(created.stdout.includes(readFileSync(token, "utf8").trim()))
      const enrolled = await agent(server, "enroll", "--enrollment-token", token, "--name", "press 3")
      assert.is(enrolled.status, 0, enrolled.stderr)
      const id = String(jsonOf(enrolled)["device"])
      const state = join(tpm, "agent.json")
      assert.is(statSync(state).mode & 0o777, 0o600)
      assert.is(memberOf(JSON.parse(readFileSync(state, "utf8")), "device"), id)

      const shown = jsonOf(await operator("device", "show", id))
      const { claimedName, binding, group, freshness } = shown
      assert.equal([claimedName, binding, group, shown["state"]], ["press 3", "activation", "edge", "active"])
      assert.equal([freshness, memberOf(shown["tpm"], "model")], ["silent", "software"])

      const measured = createSoftwareDevice({ algorithm: "p256", sharedKeys: true })
      measured.boot(standardBoot())
      const policy = join(folder, "edge.yaml")
      writeFileSync(policy, policyDocument(measured, { ak: { binding: "proven" } }))
      assert.is((await operator("policy", "assign", policy, "--group", "edge")).status, 0)

      const first = await agent(server, "attest", "--audience", "orders")
      assert.equal([first.status, jsonOf(first)["device"], codesOf(first)], [0, id, []], first.stdout)
      assert.type(jsonOf(first)["sessionToken"], "string")

      assert.is(await server.end(), 0)
      server = await serve(folder)
      operator = operatorOf(server)
      const again = await agent(server, "attest", "--audience", "orders")
      assert.equal([again.status, jsonOf(again)["device"]], [0, id], again.stdout)
      assert.is(jsonOf(await operator("device", "show", id))["freshness"], "fresh")

      assert.is((await operator("device", "revoke", id)).status, 0)
      const refused = await agent(server, "attest", "--audience", "orders")
      assert.equal([refused.status, codesOf(refused)], [1, ["DEVICE_STATE"]], refused.stdout)
      assert.not("sessionToken" in jsonOf(refused))

      const another = join(folder, "another")
      assert.is((await operator("enrollment-token", "create", "--out", another)).status, 0)
      const back = await agent(server, "enroll", "--enrollment-token", another)
      assert.equal([back.status, memberOf(jsonOf(back)["error"], "code")], [1, "DEVICE_EXISTS"])
      assert.is(memberOf(JSON.parse(readFileSync(state, "utf8")), "device"), id)
      assert.not(existsSync(`${state}.part`))
      assert.not(server.output().includes(readFileSync(another, "utf8").trim()))
    } finally {
      await server.end("SIGKILL")
    }
  }),
)

test.run()
