import { jwtVerify } from "jose"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../../src/bytes.ts"
import { encodeCheckpoint } from "../../../src/result/checkpoint.ts"
import {
  type Checkpoint,
  checkpointDigest,
  readCheckpoint,
} from "../../../src/verification/journal/checkpoint.ts"
import { throwsCode } from "../../support/assert.ts"
import { ISSUER, verifyBy } from "../../support/journal.ts"
import { digestOf } from "../../support/ports/samples.ts"
import { signedToken, testSigner, tokenHeader } from "../../support/signer.ts"

const test = suite("readCheckpoint")

const CHECKPOINT: Checkpoint = {
  chain: { tenant: "default", writer: "a1b2.0" },
  head: { sequence: 1000, hash: digestOf("head") },
  previous: digestOf("previous"),
  count: 250,
  issuer: ISSUER,
  issuedAt: 1_772_366_400,
}
const CLAIMS = {
  iss: ISSUER,
  iat: 1_772_366_400,
  tenant: "default",
  writer: "a1b2.0",
  sequence: 1000,
  head: toHex(digestOf("head")),
  previous: toHex(digestOf("previous")),
  count: 250,
}
const signer = testSigner()
const verify = verifyBy(signer)
const TYPE = "assay-checkpoint+jwt"

for (const algorithm of ["ES256", "EdDSA"] as const)
  test(`reads what was written, and jose verifies it too, ${algorithm}`, async () => {
    const by = testSigner(algorithm)
    const compact = encodeCheckpoint(CHECKPOINT, by)
    assert.equal(readCheckpoint(compact, verifyBy(by)), { ...CHECKPOINT, compact, signed: true })
    const { payload } = await jwtVerify(compact, by.key.publicKey, { typ: TYPE, issuer: ISSUER })
    assert.equal(payload, CLAIMS)
  })

test("reads the first of a chain, which follows none", () => {
  const compact = encodeCheckpoint({ ...CHECKPOINT, previous: undefined }, signer)
  assert.is(readCheckpoint(compact, verify).previous, undefined)
})

test("reads one by a key that is not known as not signed", () => {
  const compact = encodeCheckpoint(CHECKPOINT, testSigner())
  assert.equal(readCheckpoint(compact, verify), { ...CHECKPOINT, compact, signed: false })
})

test("knows a checkpoint by the digest of all its text", () => {
  assert.equal(Buffer.from(checkpointDigest("a.b.c")), Buffer.from(digestOf("a.b.c")))
})

const { previous: _, ...first } = CLAIMS
const forged: [name: string, compact: string][] = [
  ["another type of token by the same key", signedToken(signer, tokenHeader(signer, "ear+jwt"), CLAIMS)],
  ["no type at all", signedToken(signer, { alg: signer.algorithm, kid: signer.keyId }, CLAIMS)],
  ["a claim more", signedToken(signer, tokenHeader(signer, TYPE), { ...CLAIMS, exp: 1_900_000_000 })],
  ...(["iss", "iat", "tenant", "writer", "sequence", "head", "count"] as const).map(
    (name): [string, string] => {
      const { [name]: __, ...rest } = CLAIMS
      return [`no ${name}`, signedToken(signer, tokenHeader(signer, TYPE), rest)]
    },
  ),
  ["an empty writer", signedToken(signer, tokenHeader(signer, TYPE), { ...CLAIMS, writer: "" })],
  ["a negative count", signedToken(signer, tokenHeader(signer, TYPE), { ...CLAIMS, count: -1 })],
  ["half a record", signedToken(signer, tokenHeader(signer, TYPE), { ...CLAIMS, sequence: 0.5 })],
  [
    "a head in capitals",
    signedToken(signer, tokenHeader(signer, TYPE), { ...CLAIMS, head: "AB".repeat(32) }),
  ],
  ["a head too short", signedToken(signer, tokenHeader(signer, TYPE), { ...CLAIMS, head: "ab".repeat(31) })],
  ["a previous of null", signedToken(signer, tokenHeader(signer, TYPE), { ...first, previous: null })],
  ["claims that are no object", signedToken(signer, tokenHeader(signer, TYPE), "[]")],
  ["claims with white space", signedToken(signer, tokenHeader(signer, TYPE), ` ${JSON.stringify(CLAIMS)}`)],
  ["no token", "checkpoint"],
  ["nothing", ""],
  ["more than a token has", "a".repeat(20_000)],
  [
    "another algorithm than the key's",
    signedToken(signer, { ...tokenHeader(signer, TYPE), alg: "EdDSA" }, CLAIMS),
  ],
  ["a key of its own", signedToken(signer, { ...tokenHeader(signer, TYPE), jwk: {} }, CLAIMS)],
]
for (const [name, compact] of forged)
  test(`refuses a checkpoint with ${name}`, () =>
    void throwsCode(() => readCheckpoint(compact, verify), "JOURNAL_CHECKPOINT"))

test("refuses a checkpoint with any part of it changed", () => {
  const compact = encodeCheckpoint(CHECKPOINT, signer)
  const [header = "", payload = "", signature = ""] = compact.split(".")
  const other = Buffer.from(JSON.stringify({ ...CLAIMS, sequence: 999 })).toString("base64url")
  for (const changed of [
    `${header}.${other}.${signature}`,
    `${header}.${payload}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`,
    `${header}.${payload}.`,
    `${header}.${payload}`,
  ])
    throwsCode(() => readCheckpoint(changed, verify), "JOURNAL_CHECKPOINT")
})

test("refuses a forged one by an unknown key that says something else than a checkpoint", () => {
  const other = testSigner()
  for (const claims of [
    { ...CLAIMS, head: "" },
    { ...CLAIMS, more: 1 },
  ])
    throwsCode(
      () => readCheckpoint(signedToken(other, tokenHeader(other, TYPE), claims), verify),
      "JOURNAL_CHECKPOINT",
    )
  throwsCode(
    () => readCheckpoint(signedToken(other, tokenHeader(other, "ear+jwt"), CLAIMS), verify),
    "JOURNAL_CHECKPOINT",
  )
})

test("lets any other failure of the verifier through", () => {
  assert.throws(() =>
    readCheckpoint(encodeCheckpoint(CHECKPOINT, signer), () => {
      throw new Error("out of order")
    }),
  )
  assert.is(utf8(encodeCheckpoint(CHECKPOINT, signer)).length < 1000, true)
})

test.run()
