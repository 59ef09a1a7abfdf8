import { readFileSync, writeFileSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAdminClient } from "../../src/client/admin.ts"
import { createAttestationClient } from "../../src/client/attestation.ts"
import { readConfig } from "../../src/config.ts"
import { createLog, start } from "../../src/main.ts"
import { inFolder } from "../e2e/programs.ts"
import { rejectsCode } from "../support/assert.ts"
import {
  type Holder,
  keyPem,
  makeAuthority,
  makeClient,
  pem,
  SERVER_AUTHORITY,
  writeAuthorities,
  writeServer,
} from "../support/callers.ts"
import { headerOf, makeIssuer, tokenOf } from "../support/tokens.ts"

const test = suite("a server with TLS")
const mesh = makeAuthority("Mesh CA")
const issuer = makeIssuer("ES256")
const ca = Buffer.from(pem(SERVER_AUTHORITY.der))
const tlsOf = (holder: Holder) => ({
  ca,
  certificate: Buffer.from(pem(holder.der)),
  key: Buffer.from(keyPem(holder)),
})

test("serves gateways, operators and pages with TLS by its settings, and is not ready with a certificate that is damaged", () =>
  inFolder(async (folder) => {
    const tls = writeServer(folder)
    writeFileSync(`${folder}/jwks.json`, JSON.stringify({ keys: [issuer.jwk] }))
    const settings = {
      development: true,
      data: `${folder}/data`,
      listen: [{ address: "127.0.0.1:0", tls }],
      web: { public: "127.0.0.1:0", tls, private: "127.0.0.1:0" },
      clientCertificates: [
        { name: "mesh", authority: writeAuthorities(folder, "mesh", mesh), role: "gateway", id: "spiffe" },
      ],
      tokenIssuers: [
        { name: "idp", issuer: "idp", audience: "assay", keys: `${folder}/jwks.json`, role: "operator" },
      ],
    }
    const running = await start(readConfig({}, {}, JSON.stringify(settings)), createLog("silent"))
    try {
      const address = (running.listen[0] ?? "").replace("127.0.0.1", "localhost")
      const gateway = createAttestationClient(address, { tls: tlsOf(makeClient(mesh)) })
      assert.is((await gateway.getEpoch()).value.length, 32)
      const stranger = createAttestationClient(address, { tls: tlsOf(makeClient(makeAuthority("Mesh CA"))) })
      await rejectsCode(() => stranger.getEpoch(), "CALLER_UNKNOWN")
      const now = Math.floor(Date.now() / 1000)
      const claims = { iss: "idp", aud: "assay", sub: "alice", iat: now, exp: now + 60 }
      const operator = createAdminClient(address, {
        tls: { ca },
        credential: tokenOf(issuer, headerOf(issuer), claims),
      })
      await rejectsCode(() => operator.getDevice("nobody"), "DEVICE_NOT_FOUND")
      for (const client of [gateway, stranger, operator]) client.close()

      assert.match(running.publicUrl, /^https:/)
      assert.is(running.issuer, running.publicUrl)
      const reasons = async (): Promise<string> => (await fetch(`${running.privateUrl}/readyz`)).text()
      assert.not.match(await reasons(), /server\.pem/)
      writeFileSync(tls.certificate, readFileSync(tls.certificate).subarray(0, 99))
      const told = async (): Promise<number> => (await reasons()).split("server.pem").length - 1
      for (let i = 0; i < 150 && (await told()) < 2; i++) await pause(100)
      assert.is(await told(), 2, "of the port and of the pages")
    } finally {
      await running.stop()
    }
  }))
test.run()
