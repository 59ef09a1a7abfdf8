import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../src/bytes.ts"
import { type PublicKey, parsePublic } from "../../src/evidence/tpm/public.ts"
import { type Certificate, parseCertificate } from "../../src/evidence/x509/certificate.ts"
import {
  checkSameKey,
  NO_ENDORSEMENTS,
  type UntrustedEndorsements,
  verifyEndorsements,
} from "../../src/verification/endorsements.ts"
import { throwsCode } from "../support/assert.ts"
import { AT, parsed, trustIn } from "../support/chain.ts"
import { keyOf, p256Device, rsaDevice } from "../support/core.ts"
import {
  AK_EXTENSIONS,
  EK_EXTENSIONS,
  ecKeys,
  ecSpki,
  ed25519Keys,
  integer,
  LEAF_KEYS,
  makeChain,
  oid,
  p256Keys,
  rsaSpki,
  seq,
  time,
  tlv,
  tpmName,
  withExtensions,
} from "../support/x509.ts"

const P256 = oid("1.2.840.10045.3.1.7")
const p256 = p256Device()
const rsa = rsaDevice()
const areaKey = (device: { readonly akPublic: Uint8Array }): PublicKey => parsePublic(device.akPublic).key
const eccKey = areaKey(p256)
const rsaKey = areaKey(rsa)
if (eccKey.kind !== "ecc" || rsaKey.kind !== "rsa") throw new TypeError("a key of each kind")

const modulusOf = (octets: Uint8Array): Uint8Array =>
  integer(BigInt(`0x${Buffer.from(octets).toString("hex")}`))
const point = concat(Uint8Array.of(4), eccKey.x, eccKey.y)
const eccSpki = ecSpki(P256, point)
const rsaSpkiOf = (modulus = modulusOf(rsaKey.modulus), exponent = integer(65537)): Uint8Array =>
  rsaSpki(modulus, exponent)

/** An AK's certificate with this key. */
const akWith = (spki: Uint8Array): ReturnType<typeof makeChain> => makeChain("ak", { leaf: { spki } })
const certificateOf = (spki: Uint8Array): Certificate => parseCertificate(akWith(spki).leaf)

const same = suite("checkSameKey")

same("accepts the key of the certificate, though the two are encoded in different ways", () => {
  checkSameKey(certificateOf(eccSpki), eccKey)
  checkSameKey(certificateOf(rsaSpkiOf()), rsaKey)
  checkSameKey(certificateOf(rsaSpkiOf(modulusOf(rsaKey.modulus), integer(2 ** 32 - 5))), {
    ...rsaKey,
    exponent: 2 ** 32 - 5,
  })
})

const oneOff = (octets: Uint8Array, at: number): Uint8Array => octets.with(at, (octets[at] ?? 0) ^ 1)
const last = rsaKey.modulus.length - 1
const others: readonly [name: string, spki: Uint8Array, key: PublicKey][] = [
  ["another modulus", rsaSpkiOf(modulusOf(oneOff(rsaKey.modulus, 100))), rsaKey],
  ["a modulus that differs in its last bit", rsaSpkiOf(modulusOf(oneOff(rsaKey.modulus, last))), rsaKey],
  ["the modulus, cut", rsaSpkiOf(modulusOf(rsaKey.modulus.subarray(0, last))), rsaKey],
  ["the modulus backwards", rsaSpkiOf(modulusOf(rsaKey.modulus.toReversed())), rsaKey],
  ["another exponent", rsaSpkiOf(undefined, integer(65539)), rsaKey],
  ["the exponent backwards", rsaSpkiOf(undefined, integer(0x01000100)), rsaKey],
  ["an exponent that ends like the key's", rsaSpkiOf(undefined, integer(2n ** 32n + 65537n)), rsaKey],
  ["no exponent", rsaSpkiOf(undefined, integer(0)), rsaKey],
  ["a negative exponent", rsaSpkiOf(undefined, tlv(2, Uint8Array.of(0xff))), rsaKey],
  ["the exponent of a key that has another", rsaSpkiOf(), { ...rsaKey, exponent: 3 }],
  [
    "a modulus that the key has with a zero before it",
    rsaSpkiOf(),
    { ...rsaKey, modulus: concat(Uint8Array.of(0), rsaKey.modulus) },
  ],
  ["another point", p256Keys().spki, eccKey],
  ["another x", ecSpki(P256, oneOff(point, 1)), eccKey],
  ["another y", ecSpki(P256, oneOff(point, 64)), eccKey],
  ["x and y changed round", ecSpki(P256, concat(Uint8Array.of(4), eccKey.y, eccKey.x)), eccKey],
  [
    "the point, compressed",
    ecSpki(P256, concat(Uint8Array.of(2 + ((eccKey.y.at(-1) ?? 0) & 1)), eccKey.x)),
    eccKey,
  ],
  ["the point under another form's mark", ecSpki(P256, point.with(0, 6)), eccKey],
  ["the point with a zero behind it", ecSpki(P256, concat(point, Uint8Array.of(0))), eccKey],
  ["no point", ecSpki(P256, new Uint8Array()), eccKey],
  ["the same octets on another curve", ecSpki(oid("1.3.132.0.34"), point), eccKey],
  ["a point of another curve", ecKeys("P-384").spki, eccKey],
  ["an RSA key where the other is on a curve", rsaSpkiOf(), eccKey],
  ["a key on a curve where the other is RSA", eccSpki, rsaKey],
  ["an Ed25519 key", ed25519Keys().spki, eccKey],
  ["a curve that is spelled out", ecSpki(seq(), point), eccKey],
]
for (const [name, spki, key] of others)
  same(`refuses K-06 ${name}`, () => void throwsCode(() => checkSameKey(certificateOf(spki), key), "AK_NAME"))

same.run()

const endorsed = suite("verifyEndorsements")

const NOTHING: UntrustedEndorsements = { akChain: [], ekChain: [], ekListed: false }
const AT_ONLY = { at: AT }
const akChain = akWith(eccSpki)
const ekChain = makeChain("ek")
const anchors = trustIn([akChain.root, ekChain.root])
const shownOf = ({
  leaf,
  intermediate,
}: {
  readonly leaf: Uint8Array
  readonly intermediate: Uint8Array
}): readonly Certificate[] => parsed(leaf, intermediate)
const ak = keyOf(p256)

endorsed("gives the path of each chain, and nothing where nothing was shown", () => {
  const both = verifyEndorsements(
    { akChain: shownOf(akChain), ekChain: shownOf(ekChain), ekListed: false },
    ak,
    anchors,
    AT_ONLY,
  )
  assert.equal(both.ak?.leaf.bytes, akChain.leaf)
  assert.equal(both.ek?.leaf.bytes, ekChain.leaf)
  assert.equal(verifyEndorsements(NOTHING, ak, anchors, AT_ONLY), NO_ENDORSEMENTS)
  assert.is(verifyEndorsements({ ...NOTHING, ekListed: true }, ak, anchors, AT_ONLY).ekListed, true)
  assert.is(verifyEndorsements({ ...NOTHING, akChain: shownOf(akChain) }, ak, anchors, AT_ONLY).ek, undefined)
})

endorsed("accepts an RSA key under its own certificate", () => {
  verifyEndorsements({ ...NOTHING, akChain: shownOf(akWith(rsaSpkiOf())) }, keyOf(rsa), anchors, AT_ONLY)
})

const digestOf = (spki: Uint8Array): Uint8Array => hash("sha256", spki, "buffer")
const EK_DIGEST = digestOf(LEAF_KEYS.spki)

endorsed(
  "binds an attestation key that was activated beside the endorsement key, certified or listed",
  () => {
    const enrolled = { digest: EK_DIGEST, activated: true }
    const certified = { ...NOTHING, ekChain: shownOf(ekChain), enrolled }
    assert.is(verifyEndorsements(certified, ak, anchors, AT_ONLY).activated, true)
    assert.is(
      verifyEndorsements({ ...NOTHING, ekListed: true, enrolled }, ak, anchors, AT_ONLY).activated,
      true,
    )
  },
)

const unbound: readonly [name: string, shown: Partial<UntrustedEndorsements>][] = [
  ["whose endorsement key nobody vouches for", { enrolled: { digest: EK_DIGEST, activated: true } }],
  ["without a record of it", { ekChain: shownOf(ekChain) }],
  ["without a record of it, beside a listed key", { ekListed: true }],
  [
    "that was never activated",
    { ekChain: shownOf(ekChain), enrolled: { digest: EK_DIGEST, activated: false } },
  ],
  [
    "that was never activated, beside a listed key",
    { ekListed: true, enrolled: { digest: EK_DIGEST, activated: false } },
  ],
]
for (const [name, shown] of unbound)
  endorsed(`does not bind K-02 an attestation key ${name}`, () =>
    assert.is(verifyEndorsements({ ...NOTHING, ...shown }, ak, anchors, AT_ONLY).activated, false),
  )

const replaced: readonly [name: string, digest: Uint8Array, activated?: boolean][] = [
  ["another endorsement key", digestOf(p256Keys().spki)],
  ["another endorsement key, though nothing was activated", digestOf(p256Keys().spki), false],
  ["the attestation key itself", digestOf(eccSpki)],
  ["the digest of the certificate", digestOf(ekChain.leaf)],
  ["a digest that is cut", EK_DIGEST.subarray(0, 31)],
  ["no digest at all", new Uint8Array()],
]
for (const [name, digest, activated = true] of replaced)
  endorsed(`refuses K-03 a path that holds where the record has ${name}`, () => {
    const shown = { ...NOTHING, ekChain: shownOf(ekChain), enrolled: { digest, activated } }
    throwsCode(() => verifyEndorsements(shown, ak, anchors, AT_ONLY), "AK_BINDING")
  })

const foreign: readonly [name: string, spki: Uint8Array][] = [
  ["the certificate of another key", LEAF_KEYS.spki],
  ["the certificate of an RSA key", rsaSpkiOf()],
  ["the certificate of another point", p256Keys().spki],
  ["the certificate of a key on another curve", ecKeys("P-384").spki],
  ["the certificate of an Ed25519 key", ed25519Keys().spki],
]
for (const [name, spki] of foreign)
  endorsed(`refuses K-06 ${name} with a path that holds`, () => {
    const shown = { ...NOTHING, akChain: shownOf(akWith(spki)) }
    throwsCode(() => verifyEndorsements(shown, ak, anchors, AT_ONLY), "AK_NAME")
  })
endorsed("refuses K-06 the certificate of another RSA key with a path that holds", () => {
  const shown = { ...NOTHING, akChain: shownOf(akWith(rsaSpkiOf())) }
  throwsCode(() => verifyEndorsements(shown, ak, anchors, AT_ONLY), "AK_NAME")
})

endorsed("refuses each chain for the other's purpose, and under anchors of another", () => {
  const asEk = { ...NOTHING, ekChain: shownOf(akChain) }
  const asAk = { ...NOTHING, akChain: shownOf(ekChain) }
  throwsCode(() => verifyEndorsements(asEk, ak, anchors, AT_ONLY), "KEY_USAGE")
  throwsCode(() => verifyEndorsements(asAk, ak, anchors, AT_ONLY), "KEY_USAGE")
  const forEks = trustIn([akChain.root], { purpose: "ek" })
  throwsCode(
    () => verifyEndorsements({ ...NOTHING, akChain: shownOf(akChain) }, ak, forEks, AT_ONLY),
    "UNTRUSTED_ROOT",
  )
  const forAks = trustIn([ekChain.root], { purpose: "ak" })
  throwsCode(
    () => verifyEndorsements({ ...NOTHING, ekChain: shownOf(ekChain) }, ak, forAks, AT_ONLY),
    "UNTRUSTED_ROOT",
  )
})

endorsed("refuses X-01 chains under nothing", () => {
  const shown = { ...NOTHING, akChain: shownOf(akChain) }
  throwsCode(() => verifyEndorsements(shown, ak, trustIn([]), AT_ONLY), "UNTRUSTED_ROOT")
})

endorsed("refuses X-07 an expired EK unless that is allowed, and an expired AK in any case", () => {
  const validity = seq(time(new Date("2021-01-01Z")), time(new Date("2025-01-01Z")))
  const oldEk = { ...NOTHING, ekChain: shownOf(makeChain("ek", { leaf: { validity } })) }
  throwsCode(() => verifyEndorsements(oldEk, ak, anchors, AT_ONLY), "VALIDITY")
  assert.is(verifyEndorsements(oldEk, ak, anchors, { at: AT, expiredLeaf: "allow" }).ek?.expired, true)
  const oldAk = { ...NOTHING, akChain: shownOf(makeChain("ak", { leaf: { validity, spki: eccSpki } })) }
  throwsCode(() => verifyEndorsements(oldAk, ak, anchors, { at: AT, expiredLeaf: "allow" }), "VALIDITY")
})

/** The two chains, each naming a manufacturer. */
const makers = (akMaker: string, ekMaker: string): UntrustedEndorsements => {
  const named = (maker: string): Uint8Array =>
    tpmName({ "2.23.133.2.1": maker, "2.23.133.2.2": "model", "2.23.133.2.3": "id:1" })
  return {
    akChain: shownOf(
      makeChain("ak", { leaf: { spki: eccSpki, extensions: withExtensions(AK_EXTENSIONS, named(akMaker)) } }),
    ),
    ekChain: shownOf(
      makeChain("ek", { leaf: { extensions: withExtensions(EK_EXTENSIONS, named(ekMaker)) } }),
    ),
    ekListed: false,
  }
}
const contradictions: readonly [akMaker: string, ekMaker: string][] = [
  ["id:49465800", "id:53544D20"],
  ["id:53544D20", "id:49465800"],
  ["id:49465800", "id:49465801"],
  ["id:49465800", "id:00495846"],
  ["id:474F4F47", "id:4E544300"],
]
for (const [akMaker, ekMaker] of contradictions)
  endorsed(`refuses X-06 an AK of ${akMaker} beside an EK of ${ekMaker}`, () => {
    throwsCode(() => verifyEndorsements(makers(akMaker, ekMaker), ak, anchors, AT_ONLY), "NAME")
  })
endorsed("accepts the same manufacturer in letters of either case", () => {
  verifyEndorsements(makers("id:4e544300", "id:4E544300"), ak, anchors, AT_ONLY)
})

endorsed.run()
