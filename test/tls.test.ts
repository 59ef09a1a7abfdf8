import { generateKeyPairSync } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../src/bytes.ts"
import { readServerIdentity } from "../src/tls.ts"
import { throwsCode } from "./support/assert.ts"
import { keyPem, makeServerCertificate, pem, SERVER, SERVER_AUTHORITY, validity } from "./support/callers.ts"
import { p256Keys, rsaKeys } from "./support/x509.ts"

const test = suite("readServerIdentity")
const AT = new Date("2026-11-21T12:00:00Z")
const FILES = { certificate: "/tls.crt", key: "/tls.key" }
const read = (certificate: string, key: string) =>
  readServerIdentity(FILES, [utf8(certificate), utf8(key)], AT)

const good = pem(SERVER.der)
const key = keyPem(SERVER)

test("accepts a certificate with its key, and those of its issuers behind it", () => {
  const { subject, notAfter } = read(pem(SERVER.der, SERVER_AUTHORITY.der), key)
  assert.is(subject, "CN=server")
  assert.is(notAfter.toISOString(), "2040-01-01T00:00:00.000Z")
})
test("accepts keys of RSA, and in the old forms of PEM", () => {
  const keys = rsaKeys()
  const server = makeServerCertificate(SERVER_AUTHORITY, {}, keys)
  read(pem(server.der), keyPem(server))
  read(pem(server.der), String(keys.privateKey.export({ type: "pkcs1", format: "pem" })))
  read(good, String(SERVER.keys.privateKey.export({ type: "sec1", format: "pem" })))
})

const weak = rsaKeys(1024)
const encrypted = String(
  generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
    type: "pkcs8",
    format: "pem",
    cipher: "aes-256-cbc",
    passphrase: "x",
  }),
)
const refused: [name: string, certificate: string, key: string, location: string][] = [
  ["no certificate", "# nothing yet\n", key, "/tls.crt"],
  ["a certificate that is cut off", good.slice(0, 200), key, "/tls.crt"],
  ["an issuer's certificate that is cut off", good + good.slice(0, 200), key, "/tls.crt"],
  ["a key among the certificates", good + key, key, "/tls.crt"],
  ["base64 of something else", good.replace(/\n.{40}/, `\n${"A".repeat(40)}`), key, "/tls.crt"],
  ["no key", good, "# nothing yet\n", "/tls.key"],
  ["a key that is cut off", good, key.slice(0, 100), "/tls.key"],
  ["a key with a passphrase", good, encrypted, "/tls.key"],
  ["a key of another certificate", good, keyPem({ ...SERVER, keys: p256Keys() }), "/tls.crt"],
  ["the issuer's certificate before the server's", pem(SERVER_AUTHORITY.der, SERVER.der), key, "/tls.crt"],
  [
    "a certificate that is over",
    pem(makeServerCertificate(SERVER_AUTHORITY, { validity: validity("2020-01-01", "2026-11-21") }).der),
    key,
    "/tls.crt",
  ],
  [
    "a certificate that has not begun",
    pem(makeServerCertificate(SERVER_AUTHORITY, { validity: validity("2026-11-22", "2030-01-01") }).der),
    key,
    "/tls.crt",
  ],
  [
    "a key that is too short for OpenSSL",
    pem(makeServerCertificate(SERVER_AUTHORITY, {}, weak).der),
    keyPem({ der: SERVER.der, keys: weak }),
    "/tls.crt",
  ],
]
for (const [name, certificate, keyText, location] of refused)
  test(`refuses S-09 ${name}`, () => {
    const error = throwsCode(() => read(certificate, keyText), "INPUT")
    assert.is(error.location, location)
    assert.not.match(error.message, /PRIVATE|BEGIN/)
  })
test.run()
