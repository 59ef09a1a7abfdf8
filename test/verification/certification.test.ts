import { readFileSync } from "node:fs"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { fromHex, utf8 } from "../../src/bytes.ts"
import type { AttestFields } from "../../src/device/encode.ts"
import { createSoftwareDevice, type SoftwareDevice } from "../../src/device/software.ts"
import { createSoftwareKey } from "../../src/device/software-key.ts"
import { AssayError, type Code } from "../../src/errors.ts"
import { parseCertification, type RawCertification } from "../../src/evidence/certification.ts"
import { parseEvidence } from "../../src/evidence/evidence.ts"
import { parseAttest } from "../../src/evidence/tpm/attest.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { type CertifiedKey, verifyCertification } from "../../src/verification/certification.ts"
import { createKeyObject } from "../../src/verification/key.ts"
import { proveQuote, type Quote } from "../../src/verification/quote.ts"
import { type Verified, vouch } from "../../src/verification/verified.ts"
import { output, withFiles } from "../device/judges.ts"
import { throwsCode } from "../support/assert.ts"
import { TLS_KEY } from "../support/certified.ts"
import { evidenceOf, flipped, keyOf, NONCE, p256Device } from "../support/core.ts"
import { makeRequest } from "../support/csr.ts"
import { FORGERIES } from "../support/forgeries.ts"
import { ownKeys } from "../support/rsa.ts"
import { needs, vector, vectorJson } from "../support/vectors.ts"
import { cn } from "../support/x509.ts"

const device = p256Device()

const quoteOf = (of: SoftwareDevice): Verified<Quote> =>
  proveQuote(parseEvidence(evidenceOf(of)), keyOf(of), {
    extraData: NONCE,
    qualifiedSigner: of.qualifiedName,
  })

/** What the service does with what is shown, for a challenge that names `keyName`. */
const verify = (raw: RawCertification, keyName: Uint8Array, by: SoftwareDevice = device): CertifiedKey =>
  verifyCertification(parseCertification(raw), keyOf(by), { quote: quoteOf(by), keyName, device: "device-1" })

const genuine = device.certifying(TLS_KEY).certification

const test = suite("verifyCertification")

for (const algorithm of ["p256", "p384", "p521", "rsa-2048", "rsa-3072"] as const) {
  const key = createSoftwareKey({ algorithm, keys: ownKeys(algorithm) })
  for (const ak of ["p256", "p384", "p521", "rsa-2048"] as const)
    test(`accepts a key of ${algorithm} by an attestation key of ${ak}`, () => {
      const by = createSoftwareDevice({ algorithm: ak, sharedKeys: true })
      const certified = verify(by.certifying(key).certification, key.name, by)
      assert.equal(certified, { name: key.name, spki: key.spki })
    })
}

const accepted: readonly [name: string, fields: Parameters<typeof createSoftwareKey>[0]][] = [
  ["with a scheme of its own", { fields: { scheme: { kind: "ecdsa", hash: "sha256" } } }],
  ["under a Name by SHA-384", { fields: { nameAlg: "sha384" } }],
  ["under a Name by SHA-512", { fields: { nameAlg: "sha512" } }],
  [
    "that only a policy lets use",
    { fields: { authPolicy: new Uint8Array(32).fill(1), attributes: 0x000400b2 } },
  ],
]
for (const [name, options] of accepted)
  test(`accepts a key ${name}`, () => {
    const key = createSoftwareKey(options)
    assert.equal(verify(device.certifying(key).certification, key.name).name, key.name)
  })

test("accepts a request with the device's id for its name", () => {
  const { spki, sign } = TLS_KEY
  const csr = makeRequest(
    { spki, sign, algorithm: fromHex("300a06082a8648ce3d040302") ?? spki },
    { subject: cn("device-1") },
  )
  verify({ ...genuine, csr }, TLS_KEY.name)
})

test("accepts any extraData: nothing rests on it", () => {
  for (const extraData of [new Uint8Array(), new Uint8Array(64).fill(1)])
    verify({ ...genuine, ...device.certify(extraData, TLS_KEY.keyPublic) }, TLS_KEY.name)
})

test("accepts another time of the same boot", () => {
  const later = (fields: AttestFields): AttestFields => ({
    ...fields,
    clockInfo: { ...fields.clockInfo, clockMs: fields.clockInfo.clockMs + 3_600_000n },
  })
  verify({ ...genuine, ...device.certify(new Uint8Array(), TLS_KEY.keyPublic, later) }, TLS_KEY.name)
})

test("accepts a public area without its size", () => {
  verify({ ...genuine, keyPublic: TLS_KEY.keyPublic.subarray(2) }, TLS_KEY.name)
})

for (const { name, forge, code, location, keyName = TLS_KEY.name } of FORGERIES)
  test(`refuses ${name}`, () => {
    const error = throwsCode(() => verify({ ...genuine, ...forge(device, genuine) }, keyName), code)
    assert.is(error.location, location)
    assert.is(error.kind, "refuted")
  })

for (const part of ["csr", "keyPublic", "attest", "signature"] as const)
  test(`refuses every byte of ${part} with one bit changed`, () => {
    const bytes = genuine[part]
    for (let i = 0; i < bytes.length; i++) {
      const changed = { ...genuine, [part]: flipped(bytes, i, 1 << (i % 8)) }
      assert.throws(
        () => verify(changed, TLS_KEY.name),
        (error: unknown) => error instanceof AssayError && ["malformed", "refuted"].includes(error.kind),
      )
    }
  })

test("refuses a key under a Name by SHA-1", () => {
  const key = createSoftwareKey({ fields: { nameAlg: "sha1" } })
  throwsCode(() => verify(device.certifying(key).certification, key.name), "SIG_ALG")
})

test("refuses an attestation key as a key for TLS", () => {
  const key = { ...TLS_KEY, keyPublic: device.akPublic, name: device.akName }
  throwsCode(() => verify(device.certifying(key).certification, device.akName), "KEY_ATTRIBUTES")
})

// What a TPM made, by the vectors: its own certifications of four keys, one of which is good.

interface Described {
  readonly name: string
  readonly extraData: string
}
const FOLDER = "swtpm/certify"
const described = (name: string): Described =>
  vectorJson<Record<string, Described>>("swtpm/expected.json")[`certify/${name}.attest.bin`] ?? {
    name: "",
    extraData: "",
  }

/** A vector with a request that cannot be one of that key, whose private half nobody has: it is looked at last. */
const fromVectors = (name: string, changed: Partial<RawCertification> = {}): RawCertification => ({
  csr: makeRequest({
    spki: spkiOf(vector(`${FOLDER}/${name}.pub`)),
    algorithm: SHA256,
    sign: () => new Uint8Array(70),
  }),
  keyPublic: vector(`${FOLDER}/${name}.pub`),
  attest: vector(`${FOLDER}/${name}.attest.bin`),
  signature: vector(`${FOLDER}/${name}.signature.bin`),
  ...changed,
})
const SHA256 = fromHex("300a06082a8648ce3d040302") ?? new Uint8Array()
const spkiOf = (keyPublic: Uint8Array): Uint8Array =>
  new Uint8Array(createKeyObject(parsePublic(keyPublic).key).export({ type: "spki", format: "der" }))

/** Verifies a vector by its attestation key, against a quote of the same boot. */
const verifyVector = (raw: RawCertification, keyName: string): CertifiedKey => {
  const { clockInfo, qualifiedSigner } = parseAttest(vector(`${FOLDER}/app.attest.bin`))
  const quote = vouch({ ...quoteOf(device), clockInfo, qualifiedSigner })
  const ak = keyOf({ akPublic: vector(`${FOLDER}/ak.pub`) })
  const name = fromHex(keyName) ?? new Uint8Array()
  return verifyCertification(parseCertification(raw), ak, { quote, keyName: name, device: "device-1" })
}

const vectors: readonly [name: string, file: string, changed: () => Partial<RawCertification>, code: Code][] =
  [
    [
      "a key that was made for TLS, up to the request that it did not sign",
      "app",
      () => ({}),
      "CSR_SIGNATURE",
    ],
    ["a restricted key", "app-restricted", () => ({}), "KEY_ATTRIBUTES"],
    ["a key that can be duplicated", "app-migratable", () => ({}), "KEY_ATTRIBUTES"],
    ["a key that was made outside of the TPM", "software-key", () => ({}), "KEY_ATTRIBUTES"],
    [
      "K-06 another key's public area",
      "app",
      () => ({ keyPublic: vector(`${FOLDER}/app-restricted.pub`) }),
      "KEY_NAME",
    ],
    [
      "a quote by another key in its place",
      "app",
      () => ({
        attest: vector("swtpm/quotes/ecdsa-p256-three-banks/attest.bin"),
        signature: vector("swtpm/quotes/ecdsa-p256-three-banks/signature.bin"),
      }),
      "SIGNATURE",
    ],
  ]
for (const [name, file, changed, code] of vectors)
  needs("vectors", test)(`refuses ${name}, certified by a TPM`, () => {
    const raw = fromVectors(file, changed())
    throwsCode(() => verifyVector(raw, described(file).name), code)
  })

// Requests that openssl makes.

/** A request by openssl with a key of the TPM, and what is shown of that key. */
const byOpenssl = (algorithm: "p256" | "rsa-2048", ...wanted: readonly string[]) => {
  const keys = ownKeys(algorithm)
  const key = createSoftwareKey({ algorithm, keys })
  const pem = utf8(String(keys.privateKey.export({ type: "pkcs8", format: "pem" })))
  const csr = withFiles({ "key.pem": pem }, (folder) => {
    output(
      folder,
      "openssl",
      ...["req", "-new", "-key", "key.pem", "-outform", "DER", "-out", "csr"],
      ...wanted,
    )
    return new Uint8Array(readFileSync(join(folder, "csr")))
  })
  return verify({ ...device.certifying(key).certification, csr }, key.name)
}
for (const algorithm of ["p256", "rsa-2048"] as const)
  for (const subject of ["/", "/CN=device-1"])
    test(`accepts a request by openssl for ${subject}, ${algorithm}`, () => {
      byOpenssl(algorithm, "-subj", subject)
    })
const asking: readonly [name: string, wanted: readonly string[]][] = [
  ["the name of another device", ["-subj", "/CN=device-2"]],
  ["an organization above the device", ["-subj", "/O=Example/CN=device-1"]],
  ["an organization beside the device", ["-subj", "/CN=device-1/O=Example"]],
  ["an organization that is called as the device", ["-subj", "/O=device-1"]],
  ["an alternative name", ["-subj", "/", "-addext", "subjectAltName=URI:spiffe://assay.internal/x"]],
  ["the rights of a CA", ["-subj", "/", "-addext", "basicConstraints=critical,CA:TRUE"]],
]
for (const [name, wanted] of asking)
  test(`refuses a request by openssl for ${name}`, () => {
    throwsCode(() => byOpenssl("p256", ...wanted), "CSR_REQUEST")
  })

test.run()
