import { execFileSync } from "node:child_process"
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toBase64Url, utf8 } from "../../src/bytes.ts"
import { generateSigningKey, signWith } from "../../src/keys/key.ts"
import { ensureKeyFile, readKeyFile, writeKeyFile } from "../../src/keys/keyfile.ts"
import { encryptedPkcs8 } from "../../src/keys/pkcs8.ts"
import {
  ensurePassphraseFile,
  isMadePassphrase,
  readPassphraseFile,
  readPrivateFile,
} from "../../src/keys/privatefile.ts"
import { createRandom } from "../../src/keys/random.ts"
import { throwsCode } from "../support/assert.ts"
import { rsaPair } from "../support/rsa.ts"

const test = suite("key files")

/** As people choose one: it is stretched, which takes 0.1 s each time. */
const CHOSEN = "grüne Wiese, 1 Pferd"
const PASSPHRASE = `random-256-bit.${"k".repeat(43)}`
const PERIOD = { createdAt: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2026-06-01T00:00:00Z") }
const random = createRandom()
const clock = { now: () => PERIOD.createdAt }

const folder = mkdtempSync(join(tmpdir(), "assay-keys-"))
test.after(() => rmSync(folder, { recursive: true }))

const key = generateSigningKey("ES256", PERIOD)
const path = join(folder, "es256.pem")
writeKeyFile(path, key, PASSPHRASE, random)
const whole = readFileSync(path, "utf8")

let files = 0
/** A key file of mode 0600 with this text. */
const fileOf = (text: string, mode = 0o600): string => {
  files += 1
  const name = join(folder, `file-${files}`)
  writeFileSync(name, text, { mode })
  chmodSync(name, mode)
  return name
}

const chosen = join(folder, "chosen.pem")
writeKeyFile(chosen, key, CHOSEN, random)

test("gives back the key that was written, and its period", () => {
  for (const read of [readKeyFile(path, PASSPHRASE), readKeyFile(chosen, CHOSEN)]) {
    assert.ok(read?.privateKey.equals(key.privateKey))
    assert.equal(read?.publicJwk, key.publicJwk)
    assert.equal([read?.createdAt, read?.notAfter], [PERIOD.createdAt, PERIOD.notAfter])
  }
})

test("writes a file for its owner alone, and leaves no other file behind", () => {
  assert.is(statSync(path).mode & 0o777, 0o600)
  assert.equal(
    readdirSync(folder).filter((name) => name.startsWith("es256")),
    ["es256.pem"],
  )
})

test("never overwrites a key file", () => {
  assert.is(writeKeyFile(path, generateSigningKey("ES256", PERIOD), PASSPHRASE, random), false)
  assert.is(readFileSync(path, "utf8"), whole)
})

test("writes nothing that the key or the passphrase can be read from", () => {
  const { d } = key.privateKey.export({ format: "jwk" })
  for (const [file, passphrase] of [
    [path, PASSPHRASE],
    [chosen, CHOSEN],
  ] as const) {
    const written = readFileSync(file, "utf8")
    assert.not(written.includes(d ?? passphrase))
    assert.not(written.includes(passphrase))
  }
})

for (const [algorithm, passphrase] of [
  ["ES256", CHOSEN],
  ["EdDSA", PASSPHRASE],
] as const)
  test(`opens an ${algorithm} file with openssl`, () => {
    const name = join(folder, `openssl-${algorithm}.pem`)
    const made = generateSigningKey(algorithm, PERIOD)
    writeKeyFile(name, made, passphrase, random)
    const args = ["pkey", "-in", name, "-passin", `pass:${passphrase}`, "-pubout"]
    assert.is(
      execFileSync("openssl", args).toString(),
      made.publicKey.export({ type: "spki", format: "pem" }).toString(),
    )
    assert.match(
      execFileSync("openssl", ["asn1parse", "-in", name]).toString(),
      /PBES2[\s\S]*scrypt[\s\S]*aes-256-cbc/,
    )
  })

test("tells an absent file from a bad one", () => {
  assert.is(readKeyFile(join(folder, "absent"), PASSPHRASE), undefined)
})

const lines = whole.split("\n")
const refusedText: [name: string, text: string][] = [
  ["an empty file", ""],
  ["a file without its first line", lines.slice(1).join("\n")],
  ["a file cut after its first line", `${lines[0]}\n`],
  ["a file cut within the block", whole.slice(0, whole.length / 2)],
  ["a file without its last line feed", whole.slice(0, -1)],
  ["a file with text after it", `${whole}more`],
  ["a file with two keys", whole + whole],
  ["a file with carriage returns", whole.replaceAll("\n", "\r\n")],
  ["a first line that is no JSON", whole.replace(/: [\w-]+\.[\w-]+/, ": AAAA.AAAA")],
  ["a first line without a period", whole.replace(/\.[\w-]+\./, `.${toBase64Url(utf8("{}"))}.`)],
  ["a plain private key", key.privateKey.export({ type: "pkcs8", format: "pem" }).toString()],
]
for (const [name, text] of refusedText)
  test(`refuses ${name}`, () => {
    throwsCode(() => readKeyFile(fileOf(text), PASSPHRASE), "SIGNER")
  })

test("refuses every file that is cut short", () => {
  for (let size = 0; size < whole.length; size += 7)
    throwsCode(() => readKeyFile(fileOf(whole.slice(0, size)), PASSPHRASE), "SIGNER")
})

const period = (notAfter: string) => JSON.stringify({ createdAt: PERIOD.createdAt.toISOString(), notAfter })
const [header = "", , signature = ""] = (lines[0] ?? "").replace("Assay-Key: ", "").split(".")
const other = generateSigningKey("ES256", PERIOD)
const otherInput = `${header}.${toBase64Url(utf8(period("2036-01-01T00:00:00.000Z")))}`
const otherSignature = toBase64Url(signWith(other, utf8(otherInput)))
const ownLine = (head: object): string => {
  const input = `${toBase64Url(utf8(JSON.stringify(head)))}.${toBase64Url(utf8(period("2036-01-01T00:00:00.000Z")))}`
  return `: ${input}.${toBase64Url(signWith(key, utf8(input)))}\n`
}
const refusedAlteration: [name: string, text: string][] = [
  ["a later end under the old signature", whole.replace(/: .*\n/, `: ${otherInput}.${signature}\n`)],
  ["a later end, signed by another key", whole.replace(/: .*\n/, `: ${otherInput}.${otherSignature}\n`)],
  [
    "a later end in a token of another type",
    whole.replace(/: .*\n/, ownLine({ alg: "ES256", kid: key.publicJwk.kid, typ: "assay-session+jwt" })),
  ],
  ["another key under the first line", `${lines[0]}\n${encryptedPkcs8(other.privateKey, PASSPHRASE)}`],
  ["an RSA key", `${lines[0]}\n${encryptedPkcs8(rsaPair().privateKey, PASSPHRASE)}`],
  [
    "an altered block",
    whole.replace(/(.)(.{20}=*\n-----END)/, (_, a: string, b: string) => (a === "A" ? "B" : "A") + b),
  ],
]
for (const [name, text] of refusedAlteration)
  test(`refuses ${name}`, () => {
    assert.is.not(text, whole)
    throwsCode(() => readKeyFile(fileOf(text), PASSPHRASE), "SIGNER")
  })

test("refuses a wrong passphrase, and repeats nothing of it", () => {
  const error = throwsCode(() => readKeyFile(chosen, "grüne Wiese, 2 Pferde"), "SIGNER")
  assert.not(error.message.includes("Wiese"))
  assert.is(error.cause, undefined)
})

for (const [name, passphrase] of [
  ["an empty one", ""],
  ["one of 1024 bytes", "x".repeat(1024)],
  ["one of two lines", "a\nb"],
  ["one with a zero", "a\0b"],
] as const)
  test(`refuses as passphrase ${name}`, () => {
    const name = join(folder, "never")
    throwsCode(() => writeKeyFile(name, key, passphrase, random), "SIGNER")
    throwsCode(() => readKeyFile(path, passphrase), "SIGNER")
    assert.not(existsSync(name))
  })

for (const mode of [0o640, 0o604, 0o644, 0o660, 0o601, 0o666])
  test(`refuses a file of mode ${mode.toString(8)}`, () => {
    throwsCode(() => readKeyFile(fileOf(whole, mode), PASSPHRASE), "SIGNER")
  })

test("judges the file that a symbolic link leads to", () => {
  const good = join(folder, "link-good")
  const bad = join(folder, "link-bad")
  symlinkSync(fileOf("x"), good)
  symlinkSync(fileOf("x", 0o644), bad)
  assert.equal(readPrivateFile(good), utf8("x"))
  throwsCode(() => readPrivateFile(bad), "SIGNER")
})

test("refuses what is no regular file or too large a one", () => {
  const pipe = join(folder, "pipe")
  execFileSync("mkfifo", ["-m", "600", pipe])
  throwsCode(() => readPrivateFile(pipe), "SIGNER")
  throwsCode(() => readPrivateFile(folder), "SIGNER")
  throwsCode(() => readPrivateFile(fileOf("x".repeat(16_385))), "SIGNER")
})

test("reads a passphrase from a file for its owner alone", () => {
  assert.is(readPassphraseFile(fileOf(`${PASSPHRASE}\n`)), PASSPHRASE)
  assert.is(readPassphraseFile(fileOf(PASSPHRASE)), PASSPHRASE)
  throwsCode(() => readPassphraseFile(fileOf(PASSPHRASE, 0o644)), "SIGNER")
  throwsCode(() => readPassphraseFile(fileOf("\n")), "SIGNER")
  throwsCode(() => readPassphraseFile(join(folder, "absent")), "SIGNER")
})

test("makes key and passphrase once in development mode, in a folder of their own", () => {
  const home = join(folder, "new", "home")
  const passphrase = ensurePassphraseFile(join(home, "passphrase"), random)
  const ensure = () =>
    ensureKeyFile(
      join(home, "key.pem"),
      passphrase,
      { algorithm: "EdDSA", lifetimeMs: 86_400_000 },
      { clock, random },
    )
  const made = ensure()
  assert.is(made.algorithm, "EdDSA")
  assert.equal(made.notAfter, new Date("2026-01-02T00:00:00Z"))
  assert.is(ensure().publicJwk.kid, made.publicJwk.kid)
  assert.is(ensurePassphraseFile(join(home, "passphrase"), random), passphrase)
  assert.ok(isMadePassphrase(passphrase))
  assert.is(statSync(home).mode & 0o777, 0o700)
})

/** The costs of scrypt (RFC 7914 section 7.1: N, r, p) in an encrypted block, as openssl reads them. */
const costsOf = (passphrase: string): readonly number[] => {
  const pem = encryptedPkcs8(key.privateKey, passphrase)
  const [, salted = ""] = execFileSync("openssl", ["asn1parse"], { input: pem }).toString().split(":scrypt")
  return [...salted.matchAll(/INTEGER +:([0-9A-F]+)/g)]
    .slice(0, 3)
    .map(([, hex = ""]) => Number.parseInt(hex, 16))
}

test("stretches every passphrase but those that are 256 random bits", () => {
  const made = ensurePassphraseFile(join(folder, "made"), random)
  assert.equal(costsOf(made), [16, 8, 1])
  for (const passphrase of [CHOSEN, `${made}x`]) assert.equal(costsOf(passphrase), [16_384, 8, 5], passphrase)
  for (const passphrase of [made.slice(0, -1), made.slice(1), "random-256-bit.", "x".repeat(43)])
    assert.not.ok(isMadePassphrase(passphrase), passphrase)
})

test("refuses to write where it cannot", () => {
  throwsCode(() => writeKeyFile(join(path, "below-a-file"), key, PASSPHRASE, random), "SIGNER")
})

test.run()
