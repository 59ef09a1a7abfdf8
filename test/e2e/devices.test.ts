/** What the README says: a device with a TPM joins by three commands, outlives a restart, and is refused when it is revoked. */
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { readConfig } from "../../src/config.ts"
import { standardBoot } from "../../src/device/boot.ts"
import { createSoftwareDevice } from "../../src/device/software.ts"
import { createLog, start } from "../../src/main.ts"
import { fileOf } from "../cli/run.ts"
import { SERVER_AUTHORITY, writeAuthorities, writeServer } from "../support/callers.ts"
import { headerOf, makeIssuer, tokenOf } from "../support/tokens.ts"
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

/** A server with TLS, on which two tenants have callers of several roles. */
const withTls = async (
  act: (call: (caller: string | undefined, ...args: readonly string[]) => Promise<Ended>) => Promise<void>,
): Promise<void> =>
  inFolder(async (folder) => {
    const issuer = makeIssuer("ES256")
    writeFileSync(join(folder, "jwks.json"), JSON.stringify({ keys: [issuer.jwk] }))
    const now = Math.floor(Date.now() / 1000)
    const callers = [
      ["ops", "operator", "default"],
      ["watch", "auditor", "default"],
      ["edge", "gateway", "default"],
      ["acme-ops", "operator", "acme"],
    ] as const
    for (const [sub, role, tenant] of callers) {
      const claims = { iss: "idp", aud: "assay", sub, role, tenant, iat: now, exp: now + 600 }
      const token = tokenOf(issuer, headerOf(issuer), claims)
      writeFileSync(join(folder, `${sub}.credential`), token, { mode: 0o600 })
    }
    const itself = (...values: readonly string[]) => Object.fromEntries(values.map((value) => [value, value]))
    const config = readConfig(
      {
        development: true,
        data: join(folder, "data"),
        "web.public": "127.0.0.1:0",
        "web.private": "127.0.0.1:0",
      },
      {},
      JSON.stringify({
        listen: [{ address: "127.0.0.1:0", tls: writeServer(folder) }],
        tokenIssuers: [
          {
            ...{ name: "idp", issuer: "idp", audience: "assay", keys: join(folder, "jwks.json") },
            role: { claim: "role", values: itself("operator", "auditor", "gateway") },
            tenant: { claim: "tenant", values: itself("default", "acme") },
          },
        ],
      }),
    )
    const running = await start(config, createLog("silent"))
    try {
      const address = (running.listen[0] ?? "").replace("127.0.0.1", "localhost")
      const ca = writeAuthorities(folder, "ca.pem", SERVER_AUTHORITY)
      await act((caller, ...args) =>
        assayHere([
          ...[...args, "--admin", address, "--tls-ca", ca],
          ...(caller === undefined ? [] : ["--credential", join(folder, `${caller}.credential`)]),
        ]),
      )
    } finally {
      await running.stop()
    }
  })

test("is managed over TLS by an operator, looked at by an auditor, and by nobody else", () =>
  withTls(async (call) => {
    const codeOf = (ended: Ended): unknown => memberOf(jsonOf(ended)["error"], "code")
    const { akPublic } = createSoftwareDevice({ algorithm: "p256" })
    const ak = fileOf(akPublic)
    const register = ["device", "register", "--ak", ak, "--id", "gate-7"]
    for (const caller of ["watch", "edge"])
      assert.is(codeOf(await call(caller, ...register)), "PERMISSION", caller)
    assert.is(codeOf(await call(undefined, ...register)), "CALLER_UNKNOWN")
    const registered = await call("ops", ...register)
    assert.is(registered.status, 0, registered.stderr)

    assert.is((await call("watch", "device", "show", "gate-7")).status, 0)
    const listed = jsonOf(await call("watch", "device", "list"))["devices"]
    assert.is(Array.isArray(listed) && listed.length, 1)
    const exported = await call("watch", "device", "export")
    assert.match(exported.stdout, /^\{"id":"gate-7",.*\}\n$/)
    assert.is(codeOf(await call("watch", "device", "revoke", "gate-7")), "PERMISSION")
    assert.is(codeOf(await call("edge", "device", "show", "gate-7")), "PERMISSION")
    assert.is(codeOf(await call("edge", "enrollment-token", "list")), "PERMISSION")

    const foreign = [
      ["device", "show", "gate-7"],
      ["device", "revoke", "gate-7"],
      ["device", "update", "gate-7", "--group", "theirs"],
    ]
    for (const args of foreign) assert.is(codeOf(await call("acme-ops", ...args)), "DEVICE_NOT_FOUND")
    assert.equal(jsonOf(await call("acme-ops", "device", "list"))["devices"], [])
    const moved = await call("acme-ops", "device", "import", fileOf(exported.stdout))
    assert.equal(jsonOf(moved), { added: 1, unchanged: 0 })
    assert.is((await call("acme-ops", "device", "revoke", "gate-7")).status, 0)
    assert.is(jsonOf(await call("ops", "device", "show", "gate-7"))["state"], "active")
  }))

test.run()
