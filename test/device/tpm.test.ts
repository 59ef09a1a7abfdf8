import { verify } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex } from "../../src/bytes.ts"
import type { SigningScheme } from "../../src/device/keys.ts"
import { SoftwareTpm, type SoftwareTpmOptions } from "../../src/device/tpm.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import type { PcrSelection } from "../../src/evidence/tpm/selection.ts"
import { parseSignature } from "../../src/evidence/tpm/signature.ts"
import { createKeyObject } from "../../src/verification/key.ts"
import { copiedSwtpm } from "../support/swtpm.ts"
import { needs } from "../support/vectors.ts"
import { accepts, checkquote, output, type Shown, withFiles } from "./judges.ts"

const extraData = Uint8Array.from({ length: 32 }, (_, i) => i)
const small: PcrSelection = { hash: "sha256", pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 16] }
const large: PcrSelection = { hash: "sha384", pcrs: [0, 7, 17] }

interface Judged {
  readonly options: SoftwareTpmOptions
  readonly selection: readonly PcrSelection[]
  readonly hash: SigningScheme["hash"]
}

const judged: readonly Judged[] = [
  { options: { algorithm: "rsa-2048" }, selection: [small], hash: "sha256" },
  { options: { algorithm: "rsa-2048", hash: "sha384" }, selection: [large, small], hash: "sha384" },
  { options: { algorithm: "p256" }, selection: [small, large], hash: "sha256" },
  { options: { algorithm: "p384", nameAlg: "sha384" }, selection: [large], hash: "sha384" },
]

const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))

const make = (options: SoftwareTpmOptions): SoftwareTpm => {
  const tpm = new SoftwareTpm({ banks: ["sha256", "sha384"], sharedKeys: true, ...options })
  tpm.extend(7, extraData)
  return tpm
}

const quotes = suite("quotes before tpm2_checkquote")
for (const { options, selection, hash } of judged) {
  const name = `${options.algorithm} with ${hash} over ${selection.map((bank) => bank.hash).join(" and ")}`
  needs("swtpm", quotes)(`are accepted as they are and refused when altered: ${name}`, () => {
    const tpm = make(options)
    const { akPublic } = tpm
    const shown: Shown = {
      akPublic,
      values: tpm.pcrValues(selection),
      ...tpm.quote({ extraData, selection }),
    }
    assert.ok(checkquote(shown, extraData, hash))
    const altered: readonly Shown[] = [
      { ...shown, attest: flipped(shown.attest, shown.attest.length - 1) },
      { ...shown, signature: flipped(shown.signature, shown.signature.length - 1) },
      { ...shown, values: flipped(shown.values, 0) },
      { ...shown, akPublic: new SoftwareTpm({ algorithm: "p256", hash: "sha256" }).akPublic },
    ]
    for (const other of altered) assert.not.ok(checkquote(other, extraData, hash))
    assert.not.ok(checkquote(shown, flipped(extraData, 0), hash))
  })
}

needs("swtpm", quotes)("are read by tpm2_print as they were meant", () => {
  const tpm = make({ algorithm: "p256" })
  tpm.advance(123_456)
  tpm.setState({ resetCount: 5, restartCount: 3, safe: false })
  const { attest } = tpm.quote({ extraData, selection: [small, large] })
  const text = withFiles({ attest }, (folder) => output(folder, "tpm2_print", "-t", "TPMS_ATTEST", "attest"))
  const facts = [
    `qualifiedSigner: ${toHex(tpm.qualifiedName)}`,
    `extraData: ${toHex(extraData)}`,
    "clock: 123456",
    "resetCount: 5",
    "restartCount: 3",
    "safe: 0",
    "pcrSelect: ff0101",
    "pcrSelect: 810002",
  ]
  for (const fact of facts) assert.ok(text.includes(fact), fact)
})
quotes.run()

/** A DER INTEGER. */
const integer = (value: Uint8Array): Uint8Array => {
  const start = value.findIndex((byte) => byte !== 0)
  const digits = value.subarray(start)
  const body = (digits[0] ?? 0) >= 0x80 ? concat(Uint8Array.of(0), digits) : digits
  return concat(Uint8Array.of(0x02, body.length), body)
}

/** The signature in the form that openssl takes. */
const forOpenssl = (bytes: Uint8Array): Uint8Array => {
  const signature = parseSignature(bytes)
  if (signature.kind === "unsupported") throw new TypeError("unsupported")
  if (signature.kind !== "ecdsa") return signature.value
  const body = concat(integer(signature.r), integer(signature.s))
  return concat(
    body.length < 0x80 ? Uint8Array.of(0x30, body.length) : Uint8Array.of(0x30, 0x81, body.length),
    body,
  )
}

const PSS = ["-sigopt", "rsa_padding_mode:pss", "-sigopt"]
const schemes: [options: SoftwareTpmOptions, scheme: SigningScheme, parameters: readonly string[]][] = [
  [{ algorithm: "rsa-2048" }, { kind: "rsassa", hash: "sha256" }, []],
  [{ algorithm: "rsa-3072" }, { kind: "rsassa", hash: "sha512" }, []],
  [{ algorithm: "rsa-2048" }, { kind: "rsapss", hash: "sha256" }, [...PSS, "rsa_pss_saltlen:32"]],
  [
    { algorithm: "rsa-2048" },
    { kind: "rsapss", hash: "sha256", salt: "maximum" },
    [...PSS, "rsa_pss_saltlen:222"],
  ],
  [{ algorithm: "p256" }, { kind: "ecdsa", hash: "sha256" }, []],
  [{ algorithm: "p384" }, { kind: "ecdsa", hash: "sha384" }, []],
  [{ algorithm: "p521" }, { kind: "ecdsa", hash: "sha512" }, []],
]

const signatures = suite("signatures before openssl")
for (const [options, scheme, parameters] of schemes)
  needs("swtpm", signatures)(`hold: ${options.algorithm}, ${Object.values(scheme).join(" ")}`, () => {
    const tpm = make(options)
    const { attest } = tpm.quote({ extraData })
    const pem = createKeyObject(parsePublic(tpm.akPublic).key).export({ format: "pem", type: "spki" })
    const files = { attest, signature: forOpenssl(tpm.sign(attest, scheme)), key: Buffer.from(pem) }
    withFiles(files, (folder) => {
      const dgst = ["dgst", `-${scheme.hash}`, "-verify", "key", "-signature", "signature", ...parameters]
      assert.ok(accepts(folder, "openssl", ...dgst, "attest"))
      assert.not.ok(accepts(folder, "openssl", ...dgst, "key"))
    })
  })
signatures.run()

const forged = suite("sign")
forged("signs any bytes, which a restricted key in a TPM would not", () => {
  const tpm = make({ algorithm: "p256" })
  const signature = parseSignature(tpm.sign(extraData))
  if (signature.kind !== "ecdsa") throw new TypeError("not ECDSA")
  const key = createKeyObject(parsePublic(tpm.akPublic).key)
  const value = concat(signature.r, signature.s)
  assert.ok(verify(signature.hash, extraData, { key, dsaEncoding: "ieee-p1363" }, value))
})
forged.run()

const names = suite("names")
needs("swtpm", names)("equal those that a TPM computes of the public areas", async () => {
  const swtpm = await copiedSwtpm(["sha256"])
  try {
    for (const { options } of judged) {
      const { akPublic, akName } = make(options)
      withFiles({ akPublic }, (folder) => {
        const tcti = ["-T", swtpm.tcti]
        const text = output(folder, "tpm2_loadexternal", ...tcti, "-C", "n", "-u", "akPublic", "-c", "ctx")
        assert.is(text.trim(), `name: ${toHex(akName)}`)
        output(folder, "tpm2_flushcontext", ...tcti, "-t")
      })
    }
  } finally {
    await swtpm.stop()
  }
})
names.run()
