/** K-06 against the whole service: certificates of other keys, and keys in other encodings. */
import { suite } from "uvu"
import { concat } from "../../src/bytes.ts"
import { sized } from "../../src/device/encode.ts"
import { nameOf, type PublicKey, parsePublic } from "../../src/evidence/tpm/public.ts"
import { type Attack, attackTests, spent } from "../support/attack.ts"
import { certifying, chainTable, spkiOf, trustingScene } from "../support/endorsed.ts"
import { P256, P384, RSAPSS, RSASSA, showing, type Victim } from "../support/victim.ts"
import {
  AK_EXTENSIONS,
  EK_EXTENSIONS,
  EKU_AK,
  EKU_EK,
  ecSpki,
  ed25519Keys,
  extKeyUsage,
  INTERMEDIATE_KEYS,
  integer,
  keyUsage,
  LEAF_KEYS,
  makeChain,
  oid,
  rsaSpki,
  withExtensions,
} from "../support/x509.ts"

const test = suite("attacks by keys")

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
/** The other point with the same x. */
const opposite = bytesOf(P - numberOf(ec.y), 32)
const compressed = concat(Uint8Array.of(2 + ((ec.y.at(-1) ?? 0) & 1)), ec.x)

const scene = trustingScene(test, () => {}, [P256, P384, RSAPSS, RSASSA])

chainTable(
  test,
  "K-06",
  "AK_NAME",
  [
    ["the certificate of another device's key", P256, certifying(LEAF_KEYS.spki)],
    ["the certificate of another kind of key", RSASSA, certifying(LEAF_KEYS.spki)],
    ["the certificate of a key on another curve", P256, certifying(spkiOf(P384.device))],
    [
      "the certificate of a key with the same modulus and another exponent",
      RSASSA,
      certifying(rsaSpki(unsigned(rsa.modulus), integer(65539))),
    ],
    [
      "the certificate of a key with another modulus",
      RSAPSS,
      certifying(rsaSpki(integer(numberOf(rsa.modulus) + 2n), integer(65537))),
    ],
    [
      "the certificate of a point with the same x",
      P256,
      certifying(ecSpki(ON_P256, concat(Uint8Array.of(4), ec.x, opposite))),
    ],
    ["the certificate of an Ed25519 key", P384, certifying(ed25519Keys().spki)],
    ["the certificate of its own issuer's key", P256, certifying(INTERMEDIATE_KEYS.spki)],
    [
      "the certificate of an endorsement key that is called one of an attestation key",
      RSASSA,
      (device) => {
        const { leaf, intermediate } = makeChain("ek", {
          leaf: { extensions: withExtensions(EK_EXTENSIONS, keyUsage(0), extKeyUsage(EKU_EK, EKU_AK)) },
        })
        void device
        return [leaf, intermediate]
      },
      spent("EKU"),
    ],
    [
      "the chain of an endorsement key",
      P384,
      () => [makeChain("ek").leaf, makeChain("ek").intermediate],
      spent("KEY_USAGE"),
    ],
    ["the same point compressed", P256, certifying(ecSpki(ON_P256, compressed)), spent("WEAK_KEY")],
  ],
  scene,
)
void AK_EXTENSIONS

// Evidence under the Name of the same key in another encoding: nobody registered that.
const area = parsePublic(RSASSA.device.akPublic)
const ofArea = (bytes: Uint8Array): Attack["forge"] => showing(() => ({ akName: nameOf("sha256", bytes) }))
const exponentAt = area.bytes.length - rsa.modulus.length - 2 - 4
const unknown = { code: "DEVICE_NOT_FOUND", ends: "missing", challenge: "unspent" } as const
attackTests(
  test,
  (
    [
      ["with its exponent spelled out", area.bytes.with(exponentAt + 1, 1).with(exponentAt + 3, 1)],
      [
        "with a zero in front of its modulus",
        concat(area.bytes.subarray(0, exponentAt + 4), sized(concat(new Uint8Array(1), rsa.modulus))),
      ],
      ["as TPM2B", RSASSA.device.akPublic],
      ["with other attributes", area.bytes.with(7, (area.bytes[7] ?? 0) ^ 0x40)],
      ["with a byte behind it", concat(area.bytes, new Uint8Array(1))],
    ] as const
  ).map(([name, bytes]) => ({
    name: `K-06 evidence under the Name of the key ${name}`,
    of: RSASSA,
    forge: ofArea(bytes),
    refusal: unknown,
  })),
  scene,
)

test.run()
