import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { calculateJwkThumbprint, createLocalJWKSet, jwtVerify } from "jose"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../src/bytes.ts"
import { generateSigningKey, signWith } from "../../src/keys/key.ts"
import { createSigner } from "../../src/keys/signer.ts"
import type { SignatureAlgorithm } from "../../src/service/ports.ts"
import { throwsCode } from "../support/assert.ts"
import { signedToken, tokenHeader } from "../support/signer.ts"

const test = suite("createSigner")

const NOW = new Date("2026-03-01T12:00:00Z")
const PERIOD = { createdAt: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2026-06-01T00:00:00Z") }
const clock = { now: () => NOW }
const ALGORITHMS: readonly SignatureAlgorithm[] = ["ES256", "EdDSA"]

let folder = ""
test.before(() => {
  folder = mkdtempSync(join(tmpdir(), "assay-signer-"))
})
test.after(() => rmSync(folder, { recursive: true }))

const CLAIMS = { iss: "https://assay.example", aud: "orders", iat: 1_772_366_400, exp: 1_772_366_700 }

for (const algorithm of ALGORITHMS) {
  test(`signs tokens in ${algorithm} that jose verifies with the published keys`, async () => {
    const signer = createSigner(generateSigningKey(algorithm, PERIOD), clock)
    const keys = createLocalJWKSet({ keys: signer.publicJwks().keys.map((key) => ({ ...key })) })
    // Some of these have an r or an s that is shorter than 32 bytes.
    for (let jti = 0; jti < 600; jti += algorithm === "ES256" ? 1 : 50) {
      const token = signedToken(signer, tokenHeader(signer), { ...CLAIMS, jti: `${jti}` })
      const { payload, protectedHeader } = await jwtVerify(token, keys, {
        algorithms: [algorithm],
        issuer: CLAIMS.iss,
        audience: CLAIMS.aud,
        typ: "assay-session+jwt",
        currentDate: NOW,
      })
      assert.is(payload.jti, `${jti}`)
      assert.is(protectedHeader.kid, signer.keyId)
    }
    signer.close()
  })

  test(`publishes ${algorithm} keys under their RFC 7638 thumbprint and nothing secret`, async () => {
    const signer = createSigner(generateSigningKey(algorithm, PERIOD), clock)
    const [jwk, ...others] = signer.publicJwks().keys
    assert.is(others.length, 0)
    assert.is(jwk?.kid, await calculateJwkThumbprint({ ...jwk }))
    assert.is(jwk?.kid, signer.keyId)
    assert.equal(
      Object.keys(jwk ?? {}).sort(),
      algorithm === "ES256"
        ? ["alg", "crv", "kid", "kty", "use", "x", "y"]
        : ["alg", "crv", "kid", "kty", "use", "x"],
    )
    signer.close()
  })

  test(`signs in ${algorithm} what openssl verifies`, () => {
    const key = generateSigningKey(algorithm, PERIOD)
    const input = utf8("header.payload")
    const raw = signWith(key, input)
    assert.is(raw.length, 64)
    const file = (name: string, bytes: Uint8Array | string): string => {
      const path = join(folder, `${algorithm}-${name}`)
      writeFileSync(path, bytes)
      return path
    }
    const publicKey = file("public.pem", key.publicKey.export({ type: "spki", format: "pem" }).toString())
    const message = file("message", input)
    if (algorithm === "EdDSA") {
      const args = [
        "-pubin",
        "-inkey",
        publicKey,
        "-rawin",
        "-in",
        message,
        "-sigfile",
        file("signature", raw),
      ]
      assert.match(execFileSync("openssl", ["pkeyutl", "-verify", ...args]).toString(), "Successfully")
      return
    }
    // openssl writes the DER of r and s itself, out of their hexadecimal form.
    const hex = Buffer.from(raw).toString("hex")
    const config = file(
      "asn1",
      `asn1=SEQUENCE:s\n[s]\nr=INTEGER:0x${hex.slice(0, 64)}\ns=INTEGER:0x${hex.slice(64)}\n`,
    )
    const der = join(folder, "signature.der")
    execFileSync("openssl", ["asn1parse", "-genconf", config, "-noout", "-out", der])
    const args = ["-sha256", "-verify", publicKey, "-signature", der, message]
    assert.match(execFileSync("openssl", ["dgst", ...args]).toString(), "Verified OK")
  })

  test(`refuses to load an ${algorithm} key that is not the published one`, () => {
    const key = generateSigningKey(algorithm, PERIOD)
    const other = generateSigningKey(algorithm, PERIOD)
    throwsCode(() => createSigner({ ...key, privateKey: other.privateKey }, clock), "SIGNER")
  })
}

const wrong: [name: string, sign: (input: Uint8Array) => Uint8Array][] = [
  ["signs other bytes", (input) => signWith(key, input.subarray(1))],
  ["signs with another key", (input) => signWith(generateSigningKey("ES256", PERIOD), input)],
  ["gives zeros", () => new Uint8Array(64)],
  ["gives nothing", () => new Uint8Array()],
  [
    "throws",
    () => {
      throw new Error("the device is gone")
    },
  ],
]
const key = generateSigningKey("ES256", PERIOD)

for (const [name, sign] of wrong) {
  test(`refuses at load a signer that ${name}`, () => {
    throwsCode(() => createSigner(key, clock, sign), "SIGNER")
  })
  test(`refuses to sign after a proof of a signer that comes to be one that ${name}`, () => {
    let good = true
    const signer = createSigner(key, clock, (input) => (good ? signWith(key, input) : sign(input)))
    assert.is(signer.sign(utf8("a")).length, 64)
    good = false
    signer.prove()
    throwsCode(() => signer.sign(utf8("a")), "SIGNER")
    good = true
    signer.prove()
    throwsCode(() => signer.sign(utf8("a")), "SIGNER")
    assert.type(signer.unready(), "string")
    signer.close()
  })
}

test("proves itself every second, unasked", async () => {
  let good = true
  const signer = createSigner(key, clock, (input) => (good ? signWith(key, input) : new Uint8Array(64)))
  good = false
  assert.is(signer.unready(), undefined)
  await new Promise((resolve) => setTimeout(resolve, 1300))
  throwsCode(() => signer.sign(utf8("a")), "SIGNER")
  signer.close()
})

test("refuses to sign from notAfter on", () => {
  let now = new Date(PERIOD.notAfter.getTime() - 1)
  const signer = createSigner(key, { now: () => now })
  assert.is(signer.sign(utf8("a")).length, 64)
  now = PERIOD.notAfter
  throwsCode(() => signer.sign(utf8("a")), "SIGNER")
  assert.type(signer.unready(), "string")
  signer.close()
})

test("refuses to sign while the clock gives no time", () => {
  const signer = createSigner(key, { now: () => new Date(Number.NaN) })
  throwsCode(() => signer.sign(utf8("a")), "SIGNER")
  signer.close()
})

test("refuses to sign after it was closed", () => {
  const signer = createSigner(key, clock)
  signer.close()
  throwsCode(() => signer.sign(utf8("a")), "SIGNER")
})

test.run()
