/** The demo, from outside: it is run as a user would, and what it prints is checked again by programs of others. */
import { createPublicKey, type JsonWebKeyInput } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, fromHex } from "../../src/bytes.ts"
import { flipped } from "../support/core.ts"
import { needs } from "../support/vectors.ts"
import { ASSAY, assay, assayHere, inFolder, judgedBy, run } from "./programs.ts"

/** What `assay demo -o json` prints, as far as it is used here. */
interface Demo {
  readonly ok: boolean
  readonly tpm: string
  readonly steps: readonly { readonly title: string; readonly asTold: boolean }[]
  readonly evidence: Evidence
  readonly policy: string
  readonly token: string
  readonly issuer: string
  readonly jwks: JSONWebKeySet
  readonly confirmation: string
  readonly refused: { readonly evidence: Evidence; readonly resultToken: string }
}

interface Evidence {
  readonly akPublic: string
  readonly akPem: string
  readonly attest: string
  readonly signature: string
  readonly signatureScheme: string
  readonly nonce: string
  readonly pcrFile: string
  readonly pcrs: object
  readonly eventLog: string
}

const STEPS = 7
const JUDGE = fileURLToPath(new URL("judge.py", import.meta.url))

const bytes = (hex: string): Uint8Array => {
  const read = fromHex(hex)
  if (read === undefined) throw new TypeError(`not hexadecimal: ${hex}`)
  return read
}

const demos = new Map<string, Promise<{ readonly demo: Demo; readonly text: string }>>()
/** Runs the demo once for all tests of a TPM. */
const demoWith = (tpm: string): Promise<{ readonly demo: Demo; readonly text: string }> => {
  const shown =
    demos.get(tpm) ??
    assayHere(["demo", "--tpm", tpm, "-o", "json"]).then(({ status, stdout, stderr }) => {
      assert.is(status, 0, stderr)
      return { demo: JSON.parse(stdout) as Demo, text: stdout }
    })
  demos.set(tpm, shown)
  return shown
}

/** An ECDSA-Sig-Value (RFC 3279, 2.2.3) of r and s, written here once more so that Assay's own encoder has no part in it. */
const derOf = (r: Uint8Array, s: Uint8Array): Uint8Array => {
  const integer = (value: Uint8Array): Uint8Array => {
    const digits = value.subarray(value.findIndex((byte) => byte !== 0))
    const body = (digits[0] ?? 0) < 0x80 ? digits : concat(Uint8Array.of(0), digits)
    return concat(Uint8Array.of(0x02, body.length), body)
  }
  const body = concat(integer(r), integer(s))
  return concat(Uint8Array.of(0x30, body.length), body)
}

/** TPMT_SIGNATURE of ECDSA with SHA-256: sigAlg, hash, then r and s with their sizes. */
const derOfTpm = (signature: Uint8Array): Uint8Array => {
  const view = new DataView(signature.buffer, signature.byteOffset, signature.length)
  assert.equal([view.getUint16(0), view.getUint16(2)], [0x0018, 0x000b])
  const rSize = view.getUint16(4)
  const r = signature.subarray(6, 6 + rSize)
  assert.is(8 + rSize + view.getUint16(6 + rSize), signature.length)
  return derOf(r, signature.subarray(8 + rSize))
}

/** Writes the evidence as the files that tpm2-tools, openssl and `assay check quote` take. */
const writeEvidence = (folder: string, { evidence }: Pick<Demo, "evidence">): void => {
  const files = {
    "ak.pub": bytes(evidence.akPublic),
    "ak.pem": evidence.akPem,
    attest: bytes(evidence.attest),
    signature: bytes(evidence.signature),
    der: derOfTpm(bytes(evidence.signature)),
    pcrs: bytes(evidence.pcrFile),
    eventlog: bytes(evidence.eventLog),
    "pcrs.json": JSON.stringify(evidence.pcrs),
  }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
}

const alter = (folder: string, file: string, at: number): void => {
  const content = new Uint8Array(readFileSync(join(folder, file)))
  writeFileSync(join(folder, file), flipped(content, at < 0 ? content.length + at : at))
}

const OPENSSL = ["dgst", "-sha256", "-verify"]
const accepts = async (cwd: string, program: string, ...args: readonly string[]): Promise<boolean> =>
  (await run(program, args, { cwd })).status === 0

const test = suite("demo")

for (const tpm of ["software", "swtpm"] as const) {
  const withTpm = tpm === "swtpm" ? needs("swtpm", test) : test
  const judged = (...programs: readonly string[]) => (tpm === "swtpm" ? withTpm : judgedBy(programs, test))

  withTpm(`goes as told with ${tpm}, step by step`, async () => {
    const { demo } = await demoWith(tpm)
    assert.equal(
      demo.steps.map(({ asTold }) => asTold),
      Array(STEPS).fill(true),
    )
    assert.ok(demo.ok)
    assert.match(demo.tpm, tpm)
  })

  judged("openssl")(
    `shows evidence of ${tpm} whose signature openssl verifies, and no altered one`,
    async () => {
      const { demo } = await demoWith(tpm)
      for (const shown of [demo, demo.refused])
        await inFolder(async (folder) => {
          writeEvidence(folder, shown)
          const verifies = () =>
            accepts(folder, "openssl", ...OPENSSL, "ak.pem", "-signature", "der", "attest")
          assert.ok(await verifies())
          alter(folder, "attest", 90)
          assert.not.ok(await verifies())
        })
    },
  )

  needs("swtpm", test)(
    `shows evidence of ${tpm} that tpm2_checkquote accepts, and no altered one`,
    async () => {
      const { demo } = await demoWith(tpm)
      const check = (folder: string, key: string, nonce = demo.evidence.nonce) =>
        accepts(
          folder,
          "tpm2_checkquote",
          "-u",
          key,
          "-m",
          "attest",
          "-s",
          "signature",
          "-f",
          "pcrs",
          "-q",
          nonce,
        )
      await inFolder(async (folder) => {
        const restore = () => writeEvidence(folder, demo)
        restore()
        assert.ok(await check(folder, "ak.pub"))
        assert.ok(await check(folder, "ak.pem"))
        assert.not.ok(await check(folder, "ak.pub", demo.refused.evidence.nonce))
        // The values stand behind 132 bytes of selection, a count, another and the size of the first.
        for (const [file, at] of [
          ["attest", 50],
          ["attest", -1],
          ["signature", -1],
          ["pcrs", 145],
        ] as const) {
          alter(folder, file, at)
          assert.not.ok(await check(folder, "ak.pub"), `${file} altered at ${at}`)
          restore()
        }
      })
    },
  )

  judged("python3")(
    `shows digests of ${tpm} that python computes again, and a log that leads to the PCRs`,
    async () => {
      const { text } = await demoWith(tpm)
      const { status, stdout, stderr } = await run("python3", [JUDGE], { stdin: text })
      assert.is(status, 0, stderr)
      const all = {
        name: true,
        qualifiedName: true,
        selection: true,
        pcrDigest: true,
        replay: true,
        nonce: true,
      }
      assert.equal(JSON.parse(stdout), { accepted: all, refused: all, transcript: true, claims: true })
    },
  )

  withTpm(`shows a token of ${tpm} that jose verifies with the published keys`, async () => {
    const { demo } = await demoWith(tpm)
    const keys = createLocalJWKSet(demo.jwks)
    const options = {
      algorithms: ["ES256"],
      issuer: demo.issuer,
      requiredClaims: ["exp", "iat", "nbf", "jti"],
    }
    const { payload } = await jwtVerify(demo.token, keys, {
      ...options,
      audience: "orders",
      typ: "assay-session+jwt",
    })
    assert.is(payload.sub, "demo-device")
    const [, thumbprint = ""] = demo.confirmation.split(":")
    assert.equal(payload["cnf"], { jkt: Buffer.from(thumbprint, "hex").toString("base64url") })
    const refusal = await jwtVerify(demo.refused.resultToken, keys, { ...options, typ: "ear+jwt" })
    assert.is(refusal.payload["ear_status"], "contraindicated")
    assert.not.ok("cnf" in refusal.payload)
  })

  judged("openssl")(
    `shows a token of ${tpm} that openssl verifies with the published key, and no altered one`,
    async () => {
      const { demo } = await demoWith(tpm)
      const [header = "", payload = "", signature = ""] = demo.token.split(".")
      const [key] = demo.jwks.keys
      if (key === undefined) return assert.unreachable("no key is published")
      const raw = Buffer.from(signature, "base64url")
      const input: JsonWebKeyInput = { key: { ...key }, format: "jwk" }
      await inFolder(async (folder) => {
        writeFileSync(join(folder, "key.pem"), createPublicKey(input).export({ type: "spki", format: "pem" }))
        writeFileSync(join(folder, "der"), derOf(raw.subarray(0, 32), raw.subarray(32)))
        writeFileSync(join(folder, "input"), `${header}.${payload}`)
        const verifies = () => accepts(folder, "openssl", ...OPENSSL, "key.pem", "-signature", "der", "input")
        assert.ok(await verifies())
        alter(folder, "input", -1)
        assert.not.ok(await verifies())
      })
    },
  )

  withTpm(`shows evidence and tokens of ${tpm} that the offline commands judge alike`, async () => {
    const { demo } = await demoWith(tpm)
    await inFolder(async (folder) => {
      writeEvidence(folder, demo)
      const files = {
        "good.json": JSON.stringify(demo.evidence),
        "changed.json": JSON.stringify(demo.refused.evidence),
        "policy.json": demo.policy,
        "jwks.json": JSON.stringify(demo.jwks),
        token: demo.token,
        result: demo.refused.resultToken,
      }
      for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
      const file = (name: string): string => join(folder, name)
      const quote = ["check", "quote", "--attest", file("attest"), "--signature", file("signature")]
      const whole = [
        ...quote,
        "--key",
        file("ak.pub"),
        "--pcrs",
        file("pcrs"),
        "--eventlog",
        file("eventlog"),
      ]
      const bare = [...quote, "--key", file("ak.pem"), "--pcrs", file("pcrs.json")]
      const { nonce } = demo.evidence
      const keys = ["--jwks", file("jwks.json"), "--issuer", demo.issuer, "--confirmation", demo.confirmation]
      const token = (name: string, audience: string): string[] => [
        ...["check", "token", file(name), "--audience", audience],
        ...keys,
      ]
      const appraise = (name: string): string[] => [
        ...["appraise", "--evidence", file(name), "--policy", file("policy.json")],
      ]
      const expected: readonly [args: readonly string[], status: number, told: string][] = [
        [appraise("good.json"), 0, '"tier": "warning"'],
        [appraise("changed.json"), 1, "REFERENCE_SET"],
        [[...whole, "--nonce", nonce], 0, '"replay": true'],
        [[...bare, "--nonce", nonce], 0, '"signature": true'],
        [[...whole, "--nonce", demo.refused.evidence.nonce], 1, "NONCE_MISMATCH"],
        [token("token", "orders"), 0, '"device": "demo-device"'],
        [token("token", "billing"), 1, "TOKEN_CLAIMS"],
        [token("result", "orders"), 1, "TOKEN_FORMAT"],
      ]
      for (const [args, status, told] of expected) {
        const ended = await assayHere([...args, "-o", "json"])
        assert.is(ended.status, status, `${args.join(" ")}\n${ended.stdout}${ended.stderr}`)
        assert.ok(ended.stdout.includes(told), ended.stdout)
      }
      // Once is enough to see that it does in a process of its own, too.
      const [args] = expected[0] ?? [[]]
      if (tpm === "software") assert.is((await assay(args)).status, 0)
    })
  })
}

test("is readable as `make demo` starts it, and ends with status 0", async () => {
  const bin = fileURLToPath(new URL("../../bin/assay.js", import.meta.url))
  const { status, stdout, stderr } = await run(process.execPath, [bin, "demo", "-o", "table"])
  assert.is(status, 0, stderr)
  assert.is(stderr, "")
  assert.is(stdout.match(/^\d\. .* {2}ok$/gm)?.length, STEPS)
  for (const told of [
    "Verdict: warning",
    "Verdict: contraindicated",
    "REFERENCE_SET at sha256:4",
    "NONCE_SPENT",
  ])
    assert.match(stdout, told)
  assert.match(stdout, /Every step went as told\.\n$/)
})
test.run()

// With the checks gone that the demo is about, it has to say so at the steps that show them: the program is loaded with a
// line of each changed. That every other step still goes as told shows that nothing else is wrong with it.

const ROOT = fileURLToPath(new URL("../..", import.meta.url))

interface Edit {
  readonly file: string
  readonly before: string
  readonly now: string
}

/** What has Node load the program with its `edits` made, each in a file that has `before` exactly once. */
const sabotaged = (folder: string, edits: readonly Edit[]): string => {
  const changed = new Map<string, string>()
  for (const { file, before, now } of edits) {
    const path = join(ROOT, file)
    const parts = (changed.get(path) ?? readFileSync(path, "utf8")).split(before)
    assert.is(parts.length, 2, `${file} has to have exactly once: ${before}`)
    changed.set(path, parts.join(now))
  }
  const sources = Object.fromEntries([...changed].map(([path, source]) => [pathToFileURL(path).href, source]))
  const hooks = join(folder, "hooks.mjs")
  writeFileSync(
    hooks,
    `import { registerHooks } from "node:module"
const sources = ${JSON.stringify(sources)}
registerHooks({
  load: (url, context, next) =>
    url in sources
      ? { format: "module-typescript", source: sources[url], shortCircuit: true }
      : next(url, context),
})
`,
  )
  return hooks
}

const sabotage = suite("demo of a program without its checks")

type Removal = readonly [notAsTold: readonly RegExp[], edit: Edit]
const signature: Removal = [
  [/clock somebody changed/],
  {
    file: "src/verification/quote.ts",
    before: "if (!verifySignature(ak.keyObject, signature, attestBytes))",
    now: "if (!verifySignature(ak.keyObject, signature, attestBytes) && false)",
  },
]
const digest: Removal = [
  [/PCR values and the log of its good boot/],
  {
    file: "src/verification/quote.ts",
    before: "if (!sameBytes(actual, quote.pcrDigest))",
    now: "if (!sameBytes(actual, quote.pcrDigest) && false)",
  },
]
const references: Removal = [
  [/changes PCR 4/],
  {
    file: "src/appraisal/rules/reference-sets.ts",
    before: "return quoted !== undefined && sameBytes(quoted, golden.value)",
    now: "return quoted !== undefined",
  },
]
const memory: Removal = [
  [/first evidence once more/],
  { file: "src/store/engine/memory.ts", before: "spent.add(value.key, value.expiresAt)", now: "" },
]
const spending: Removal = [
  [/session token/, /first evidence once more/],
  { file: "src/service/verify.ts", before: "await freshness.spend()", now: "await undefined" },
]

// Each is shown at steps of its own, so that those of one table row can be gone from the same copy.
const removals: readonly [name: string, ...gone: readonly Removal[]][] = [
  [
    "the signature check, the comparisons with the digest and the reference values, the memory of what was spent",
    ...[signature, digest, references, memory],
  ],
  ["the spending of challenges", spending],
]
for (const [name, ...gone] of removals)
  sabotage(`does not go as told without ${name}`, () =>
    inFolder(async (folder) => {
      const hooks = sabotaged(
        folder,
        gone.map(([, edit]) => edit),
      )
      const args = ["--import", hooks, ASSAY, "demo", "-o", "json"]
      const { status, stdout, stderr } = await run(process.execPath, args)
      assert.is(status, 1, stderr)
      const { ok, steps } = JSON.parse(stdout) as Demo
      assert.not.ok(ok)
      const wrong = steps.filter(({ asTold }) => !asTold).map(({ title }) => title)
      const notAsTold = gone.flatMap(([titles]) => titles)
      assert.is(wrong.length, notAsTold.length, wrong.join("; "))
      for (const title of notAsTold)
        assert.ok(
          wrong.some((step) => title.test(step)),
          String(title),
        )
    }),
  )
sabotage.run()
