import { writeFileSync } from "node:fs"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { TokenFiles } from "../../src/server/token-rules.ts"
import { watchTokenRules } from "../../src/server/token-rules.ts"
import { throwsCode } from "../support/assert.ts"
import { headerOf, makeIssuer, tokenOf } from "../support/tokens.ts"
import { inFolder } from "./fake.ts"
import { connectAs, GET_EPOCH, outcomeOn, serving } from "./tls.ts"

const test = suite("watchTokenRules")
const first = makeIssuer("ES256", "first")
const second = makeIssuer("EdDSA", "second")

const filesAt = (keys: string): TokenFiles => ({
  name: "idp",
  issuer: "https://idp.example",
  audience: "assay",
  types: ["JWT"],
  role: { kind: "fixed", value: "gateway" },
  tenant: { kind: "fixed", value: "acme" },
  lifetimeSecondsMax: 3600,
  clockToleranceSeconds: 0,
  keys,
})
const jwks = (...issuers: readonly (typeof first)[]): string =>
  JSON.stringify({ keys: issuers.map(({ jwk }) => jwk) }, null, 2)
const tokenBy = (issuer: typeof first): string => {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: "https://idp.example", aud: "assay", sub: "edge-1", iat: now - 5, exp: now + 60 }
  return tokenOf(issuer, headerOf(issuer), claims)
}

test("knows callers by the issuer's keys as its file has them now", () =>
  serving(
    async ({ address, folder, look, seen, unready }) => {
      const client = connectAs(address)
      const bearer = (issuer: typeof first) =>
        outcomeOn(client, GET_EPOCH, { authorization: `Bearer ${tokenBy(issuer)}` })
      assert.is(await bearer(first), "OK")
      const [{ caller } = { caller: undefined }] = seen
      assert.equal([caller?.tenant, caller?.id], ["acme", "jwt:idp:edge-1"])
      assert.is(await bearer(second), "TOKEN_KEY")
      writeFileSync(`${folder}/jwks.json`, jwks(first, second))
      await look()
      assert.equal([await bearer(first), await bearer(second)], ["OK", "OK"])
      writeFileSync(`${folder}/jwks.json`, jwks(second).slice(0, 50))
      await look()
      assert.equal([await bearer(first), unready().length], ["OK", 1])
      writeFileSync(`${folder}/jwks.json`, jwks(second))
      await look()
      assert.equal([await bearer(first), await bearer(second), unready()], ["TOKEN_KEY", "OK", []])
      client.close()
    },
    (folder) => {
      writeFileSync(`${folder}/jwks.json`, jwks(first))
      return { tokenIssuers: [filesAt(`${folder}/jwks.json`)] }
    },
  ))

const files: [name: string, text: string][] = [
  ["that is half written", jwks(first).slice(0, 80)],
  ["that is a list", `[${jwks(first)}]`],
  ["without keys", "{}"],
  ["with one key and no list", JSON.stringify(first.jwk)],
  ["with no key that signs", JSON.stringify({ keys: [{ ...first.jwk, use: "enc" }] })],
  ["with an empty list", JSON.stringify({ keys: [] })],
  ["with keys twice", `{"keys":[],"keys":[${JSON.stringify(first.jwk)}]}`],
  ["with a key twice", jwks(first, first)],
  ["with a private key", JSON.stringify({ keys: [{ ...first.jwk, d: "AAAA" }] })],
  ["with text for a key", JSON.stringify({ keys: ["first"] })],
]
for (const [name, text] of files)
  test(`refuses S-09 a key set ${name}`, () =>
    inFolder(async (folder) => {
      writeFileSync(`${folder}/jwks.json`, text)
      const error = throwsCode(() => watchTokenRules([filesAt(`${folder}/jwks.json`)], {}), "INPUT")
      assert.is(error.location, `${folder}/jwks.json`)
    }))
test.run()
