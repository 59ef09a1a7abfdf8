import { readFileSync } from "node:fs"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { readConfig } from "../../src/config.ts"
import { certificateRules, enrollmentTokens, localCallers, tokenRules } from "../../src/main/callers.ts"
import type { EnrollmentTokenRecord } from "../../src/service/ports.ts"

const test = suite("callers of the settings")
const AT = new Date("2026-11-21T12:00:00Z")

test("makes a gateway and a backend in development mode, unless they are configured", () => {
  const config = readConfig(
    {},
    {},
    "{development: true, credentials: [{name: backend, file: /b, role: auditor, tenant: acme}]}",
  )
  assert.equal(localCallers(config, "/data"), [
    { name: "gateway", role: "gateway", tenant: "default", file: "/data/gateway.credential" },
    { name: "backend", role: "auditor", tenant: "acme", file: "/b" },
  ])
  assert.equal(localCallers(readConfig({}, {}, undefined), "/data"), [])
})
test("takes rules as they are written, with paths from where the process runs", () => {
  const config = readConfig(
    {},
    {},
    JSON.stringify({
      clientCertificates: [
        { name: "a", authority: "/a.pem", role: "gateway", id: "spiffe" },
        {
          name: "b",
          authority: "/b.pem",
          crls: "/b.crl",
          role: "operator",
          tenant: "acme",
          id: "sha256",
          ids: ["ab"],
        },
      ],
      tokenIssuers: [
        {
          name: "idp",
          issuer: "i",
          audience: "a",
          keys: "/jwks.json",
          role: { claim: "roles", values: { ops: "operator" } },
        },
      ],
    }),
  )
  assert.equal(
    certificateRules(config).map(({ crls, tenant, id }) => ({ crls, tenant, id })),
    [
      { crls: undefined, tenant: "default", id: { kind: "spiffe", ids: undefined } },
      { crls: "/b.crl", tenant: "acme", id: { kind: "sha256", ids: ["ab"] } },
    ],
  )
  const [rule] = tokenRules(config)
  assert.equal(rule?.role, { kind: "claim", claim: "roles", values: new Map([["ops", "operator"]]) })
  assert.equal(rule?.tenant, { kind: "fixed", value: "default" })
})

test("takes the settings that docs/callers.md shows", () => {
  const [, yaml = ""] = /```yaml\n([\s\S]*?)```/.exec(readFileSync("docs/callers.md", "utf8")) ?? []
  const config = readConfig({}, {}, yaml)
  assert.is(config.listen?.length, 2)
  assert.equal(
    [...certificateRules(config), ...tokenRules(config)].map(({ name }) => name),
    ["edge", "ops", "idp"],
  )
})

const token: EnrollmentTokenRecord = {
  tenant: "acme",
  id: "token-1",
  digest: new Uint8Array(32),
  usesMax: 1,
  uses: 1,
  createdAt: new Date(AT.getTime() - 1000),
  expiresAt: new Date(AT.getTime() + 1000),
  revoked: false,
  group: "",
  labels: new Map(),
}
const found = (record: EnrollmentTokenRecord | undefined) =>
  enrollmentTokens({ enrollmentToken: async () => record }, { now: () => AT })(new Uint8Array(32))
test("finds an enrollment token until it ends, used up or not", async () => {
  assert.is((await found(token))?.id, "token-1")
  assert.is(await found(undefined), undefined)
})
test("refuses G-11 an enrollment token that was revoked, or has ended", async () => {
  assert.is(await found({ ...token, revoked: true }), undefined)
  assert.is(await found({ ...token, expiresAt: AT }), undefined)
})
test.run()
