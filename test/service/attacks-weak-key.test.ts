/** K-07 and K-08 against the whole service: keys that are none, and keys that others know. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../src/bytes.ts"
import { encodePublic } from "../../src/device/encode.ts"
import { AK_ATTRIBUTES } from "../../src/device/tpm.ts"
import { AssayError, type Code } from "../../src/errors.ts"
import { type PublicKey, parsePublic } from "../../src/evidence/tpm/public.ts"
import { parseDeniedKeys } from "../../src/verification/denied-keys.ts"
import { spent } from "../support/attack.ts"
import { authority } from "../support/crl.ts"
import {
  caOf,
  certifying,
  chainTable,
  endorsedBy,
  idOf,
  leafOf,
  ROCA_MODULUS,
  ROOT,
  trustingScene,
} from "../support/endorsed.ts"
import { watch } from "../support/scene.ts"
import { GATEWAY } from "../support/service.ts"
import { P256, P384, RSAPSS, RSASSA, type Victim } from "../support/victim.ts"
import { caExtensions, ecSpki, integer, oid, p256Keys, rsaSpki } from "../support/x509.ts"

const test = suite("attacks by weak and known keys")

const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`)
const unsigned = (bytes: Uint8Array): Uint8Array => integer(numberOf(bytes))
const keyOf = ({ device }: Victim): PublicKey => parsePublic(device.akPublic).key
const rsa = keyOf(RSASSA)
const ec = keyOf(P256)
if (rsa.kind !== "rsa" || ec.kind !== "ecc") throw new TypeError("a key of each kind")
const ON_P256 = oid("1.2.840.10045.3.1.7")
const P = (1n << 256n) - (1n << 224n) + (1n << 192n) + (1n << 96n) - 1n
const bytesOf = (value: bigint, size: number): Uint8Array =>
  new Uint8Array(Buffer.from(value.toString(16).padStart(2 * size, "0"), "hex"))

const LEAKED = p256Keys()
const LEAKED_CA = authority("CA whose key leaked", LEAKED)
const LEAKED_ROOT = authority("Root whose key leaked", LEAKED)
const denied = parseDeniedKeys({
  version: 1,
  keys: [
    {
      spkiSha256: idOf(LEAKED.spki),
      subject: "a test key",
      reason: "it was in a firmware image",
      source: "https://firmware.example/",
      published: "2024-01-01",
      derivation: "made by a test",
    },
  ],
})
const scene = trustingScene(
  test,
  ({ trustAnchor }) => trustAnchor(caOf(LEAKED_ROOT, LEAKED_ROOT)),
  undefined,
  {
    ports: ({ loadTrust }) => ({
      denied,
      loadTrust: async (tenant, generation) => ({ ...(await loadTrust(tenant, generation)), denied }),
    }),
  },
)

const even = rsa.modulus.with(255, (rsa.modulus[255] ?? 0) & 0xfe)
const oddOf = (size: number): Uint8Array => new Uint8Array(size).fill(0xc3)
const ofRsa = (modulus: Uint8Array, exponent = 65537): Uint8Array =>
  rsaSpki(unsigned(modulus), integer(exponent))
const ofPoint = (...point: readonly Uint8Array[]): Uint8Array => ecSpki(ON_P256, concat(...point))
const ON_P521 = oid("1.3.132.0.35")
const FORM = Uint8Array.of(4)
const A = authority("CA A")
chainTable(
  test,
  "K-07",
  "WEAK_KEY",
  [
    ["a certificate of a modulus of 0", RSASSA, certifying(ofRsa(new Uint8Array(256)))],
    ["a certificate of an even modulus", RSAPSS, certifying(ofRsa(even))],
    ["a certificate of 512 bits", RSASSA, certifying(ofRsa(oddOf(64)))],
    ["a certificate of 16384 bits", P256, certifying(ofRsa(oddOf(2048)))],
    ["a certificate with exponent 1", RSASSA, certifying(ofRsa(rsa.modulus, 1))],
    ["a certificate with an even exponent", RSAPSS, certifying(ofRsa(rsa.modulus, 65536))],
    ["a certificate of a point off its curve", P256, certifying(ofPoint(FORM, ec.x, ec.x))],
    ["a certificate of the point at infinity", P384, certifying(ofPoint(new Uint8Array(1)))],
    ["a certificate of coordinates that are zero", P256, certifying(ofPoint(FORM, new Uint8Array(64)))],
    [
      "a certificate of short coordinates on P-521",
      P384,
      certifying(ecSpki(ON_P521, concat(FORM, new Uint8Array(130).fill(1)))),
    ],
    [
      "a certificate of padded coordinates",
      P256,
      certifying(ofPoint(FORM, new Uint8Array(1), ec.x, new Uint8Array(1), ec.y)),
    ],
    [
      "an intermediate with an even modulus",
      P256,
      (device) => [leafOf(device, A), caOf(A, ROOT, caExtensions(), { spki: ofRsa(even) })],
    ],
  ],
  scene,
)

/** Registration of a key alone, refused: U2 and U4. */
const refusesKey = (name: string, akPublic: Uint8Array, code: Code, endorsement = endorsedBy({})): void =>
  test(`refuses ${name}, at registration`, async () => {
    const made = await scene()
    const { outcomes, journaled } = await watch(made, [
      () =>
        made.world.service.registerDevice(
          { id: "newcomer", akPublic, qualifiedName: undefined, endorsement },
          GATEWAY,
        ),
    ])
    const [outcome] = outcomes
    const error = outcome?.status === "rejected" ? outcome.reason : undefined
    if (!(error instanceof AssayError)) throw error ?? new Error("it was registered")
    assert.is(error.code, code, error.message)
    assert.equal(journaled, [])
  })
const areaOf = (key: PublicKey): Uint8Array =>
  encodePublic({
    nameAlg: "sha256",
    attributes: AK_ATTRIBUTES,
    authPolicy: new Uint8Array(),
    symmetric: undefined,
    scheme: { kind: key.kind === "rsa" ? "rsassa" : "ecdsa", hash: "sha256" },
    key,
  })
const rsaArea = (modulus: Uint8Array, exponent = 65537): Uint8Array =>
  areaOf({ kind: "rsa", keyBits: 8 * modulus.length, exponent, modulus })
const ecArea = (x: Uint8Array, y: Uint8Array): Uint8Array => areaOf({ kind: "ecc", curve: "P-256", x, y })
for (const [name, akPublic, code] of [
  ["a modulus of 0", rsaArea(new Uint8Array(256)), "WEAK_KEY"],
  ["an even modulus", rsaArea(even), "WEAK_KEY"],
  ["a modulus of 512 bits", rsaArea(oddOf(64)), "WEAK_KEY"],
  ["a modulus of 1024 bits", rsaArea(rsa.modulus.subarray(0, 128)), "WEAK_KEY"],
  ["a modulus of 16384 bits", rsaArea(oddOf(2048)), "LENGTH"],
  ["a modulus that begins with a zero", rsaArea(rsa.modulus.with(0, 0)), "WEAK_KEY"],
  ["exponent 1", rsaArea(rsa.modulus, 1), "WEAK_KEY"],
  ["an even exponent", rsaArea(rsa.modulus, 65536), "WEAK_KEY"],
  ["a point off its curve", ecArea(ec.x, ec.x), "WEAK_KEY"],
  ["coordinates that are zero", ecArea(new Uint8Array(32), new Uint8Array(32)), "WEAK_KEY"],
  ["coordinates that are not below p", ecArea(bytesOf(P, 32), ec.y), "WEAK_KEY"],
] as const)
  refusesKey(`K-07 an attestation key with ${name}`, akPublic, code)

chainTable(
  test,
  "K-08",
  "ROCA",
  [
    ["a certificate of a key that RSALib made", RSASSA, certifying(ofRsa(ROCA_MODULUS))],
    ["a certificate of such a key with another exponent", RSAPSS, certifying(ofRsa(ROCA_MODULUS, 65539))],
    [
      "an intermediate with such a key",
      P256,
      (device) => [leafOf(device, A), caOf(A, ROOT, caExtensions(), { spki: ofRsa(ROCA_MODULUS) })],
    ],
    ["a certificate of a key that leaked", P384, certifying(LEAKED.spki), spent("KEY_DENIED")],
    [
      "an intermediate with a key that leaked",
      P256,
      (device) => [leafOf(device, LEAKED_CA), caOf(LEAKED_CA, ROOT)],
      spent("KEY_DENIED"),
    ],
    [
      "a trust anchor with a key that leaked",
      RSASSA,
      (device) => [leafOf(device, LEAKED_ROOT)],
      spent("KEY_DENIED"),
    ],
  ],
  scene,
)
refusesKey("K-08 an attestation key that RSALib made", rsaArea(ROCA_MODULUS), "ROCA")
const leaked = ecArea(LEAKED.spki.subarray(-64, -32), LEAKED.spki.subarray(-32))
refusesKey("K-08 an attestation key that leaked", leaked, "KEY_DENIED")
refusesKey(
  "K-08 an endorsement key that RSALib made",
  P256.device.akPublic,
  "ROCA",
  endorsedBy({ ekPublic: rsaArea(ROCA_MODULUS) }),
)
refusesKey(
  "K-08 an endorsement key that leaked",
  P256.device.akPublic,
  "KEY_DENIED",
  endorsedBy({ ekPublic: leaked }),
)

test.run()
