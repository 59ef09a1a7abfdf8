import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, isFilledWith, toHex, utf8 } from "../../src/bytes.ts"
import { type BootComponents, standardBoot } from "../../src/device/boot.ts"
import { encodeQuoted, rawSelection } from "../../src/device/encode.ts"
import type { KeyAlgorithm } from "../../src/device/keys.ts"
import { createSoftwareDevice, type SoftwareDeviceOptions } from "../../src/device/software.ts"
import { AK_ATTRIBUTES } from "../../src/device/tpm.ts"
import { HASHES, type HashName } from "../../src/evidence/tpm/algorithm.ts"
import { parseAttest, TPM_ST_ATTEST_TIME } from "../../src/evidence/tpm/attest.ts"
import { parsePublic, qualifiedNameOf } from "../../src/evidence/tpm/public.ts"
import { parseSignature } from "../../src/evidence/tpm/signature.ts"
import { throwsCode } from "../support/assert.ts"

const digest = (name: HashName, bytes: Uint8Array) => new Uint8Array(hash(name, bytes, "buffer"))
const extraData = new Uint8Array(32).fill(7)
const p256 = (options: Partial<SoftwareDeviceOptions> = {}) =>
  createSoftwareDevice({ algorithm: "p256", ...options })

const structures = suite("structures")
const kinds: [options: SoftwareDeviceOptions, publicBytes: number, signatureBytes: number][] = [
  [{ algorithm: "rsa-2048", scheme: "rsassa", sharedKeys: true }, 282, 262],
  [{ algorithm: "rsa-2048", scheme: "rsapss", hash: "sha384", sharedKeys: true }, 282, 262],
  [{ algorithm: "rsa-3072", hash: "sha512", sharedKeys: true }, 410, 390],
  [{ algorithm: "p256" }, 90, 72],
  [{ algorithm: "p384" }, 122, 104],
  [{ algorithm: "p521", nameAlg: "sha512" }, 158, 140],
]
for (const [options, publicBytes, signatureBytes] of kinds)
  structures(`parse, of ${JSON.stringify(options)}`, () => {
    const device = createSoftwareDevice(options)
    const area = parsePublic(device.akPublic)
    assert.is(device.akPublic.length, publicBytes)
    assert.is(area.attributes, AK_ATTRIBUTES)
    assert.equal(area.name, device.akName)
    const endorsement = Uint8Array.of(0x40, 0, 0, 0x0b)
    assert.equal(device.qualifiedName, qualifiedNameOf(endorsement, area.name, area.nameAlg))

    const { attest, signature } = device.quote({ extraData })
    const parsed = parseSignature(signature)
    assert.is(signature.length, signatureBytes)
    if (parsed.kind === "unsupported" || area.scheme.kind === "null") throw new TypeError("no scheme")
    assert.is(parsed.kind, area.scheme.kind)
    if (area.scheme.kind === "unsupported") throw new TypeError("no scheme")
    assert.is(parsed.hash, area.scheme.hash)

    const quote = parseAttest(attest)
    assert.equal(quote.extraData, extraData)
    assert.equal(quote.qualifiedSigner, device.qualifiedName)
    assert.equal(quote.attested, {
      kind: "quote",
      pcrSelect: [{ hash: "sha256", pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }],
      pcrDigest: digest(parsed.hash, device.pcrValues()),
    })
  })

structures("of certify, creation and time are signed by the same key", () => {
  const device = p256()
  const kindsOf = [
    device.certify(extraData),
    device.certifyCreation(extraData),
    device.getTime(extraData),
  ].map(({ attest }) => parseAttest(attest))
  assert.equal(
    kindsOf.map(({ attested }) => attested.kind),
    ["certify", "creation", "time"],
  )
  for (const attest of kindsOf) assert.equal(attest.extraData, extraData)
})

structures("are forged as a test asks, and signed all the same", () => {
  const device = p256()
  const magic = device.quote({ extraData, tamper: (fields) => ({ ...fields, magic: 0xff544346 }) })
  throwsCode(() => parseAttest(magic.attest), "QUOTE_MAGIC")
  const typed = device.quote({ extraData, tamper: (fields) => ({ ...fields, type: TPM_ST_ATTEST_TIME }) })
  throwsCode(() => parseAttest(typed.attest), ["FRAMING", "LENGTH"])
  const selection = rawSelection({ hash: "sha256", pcrs: [23] })
  const selected = device.quote({
    extraData,
    tamper: (fields) => ({ ...fields, attested: encodeQuoted([selection, selection], extraData) }),
  })
  throwsCode(() => parseAttest(selected.attest), "PCR_SELECTION_MALFORMED")
  const whole = device.quote({ extraData, tamper: () => utf8("anything") })
  assert.equal(whole.attest, utf8("anything"))
  assert.is(parseSignature(whole.signature).kind, "ecdsa")
})

structures("share a Name only with shared keys", () => {
  const name = (sharedKeys: boolean) => toHex(p256({ sharedKeys }).akName)
  assert.is(name(true), name(true))
  assert.is.not(name(false), name(false))
})
structures.run()

const pcrs = suite("PCRs")
pcrs("begin as zeros, but for 17 to 22, which begin as ones", () => {
  const device = p256({ events: [], banks: ["sha1", "sha256", "sha384", "sha512"] })
  for (const hash of ["sha1", "sha256", "sha384", "sha512"] as const)
    for (let pcr = 0; pcr < 24; pcr++) {
      const value = device.pcrValues([{ hash, pcrs: [pcr] }])
      assert.is(value.length, HASHES[hash].sizeBytes)
      assert.ok(isFilledWith(value, pcr >= 17 && pcr <= 22 ? 0xff : 0), `${hash}:${pcr}`)
    }
})

pcrs("are extended in the banks that are named, or in all by the digest of some bytes", () => {
  const device = p256({ events: [], banks: ["sha256", "sha384"] })
  const [small, large] = (["sha256", "sha384"] as const).map((hash) => [{ hash, pcrs: [16] }])
  const measured = digest("sha256", utf8("x"))
  const extended = digest("sha256", concat(new Uint8Array(32), measured))
  device.extend(16, new Map([["sha256", measured]]))
  assert.equal(device.pcrValues(small), extended)
  assert.ok(isFilledWith(device.pcrValues(large), 0))
  device.boot([])
  device.extend(16, utf8("x"))
  assert.equal(device.pcrValues(small), extended)
  assert.not.ok(isFilledWith(device.pcrValues(large), 0))
})

pcrs("of a bank that the TPM lacks come back unselected", () => {
  const { attest, pcrBanks } = p256().attest({ extraData, selection: [{ hash: "sha384", pcrs: [0, 7] }] })
  const { attested } = parseAttest(attest)
  assert.equal(attested.kind === "quote" && attested.pcrSelect, [{ hash: "sha384", pcrs: [] }])
  assert.equal(pcrBanks, [{ hash: "sha384", values: new Uint8Array() }])
})

pcrs("are signed in ascending order, once each", () => {
  const { attest } = p256().quote({ extraData, selection: [{ hash: "sha256", pcrs: [7, 0, 7] }] })
  const { attested } = parseAttest(attest)
  assert.equal(attested.kind === "quote" && attested.pcrSelect, [{ hash: "sha256", pcrs: [0, 7] }])
})

const components: [changed: Partial<BootComponents>, moved: readonly number[]][] = [
  [{ firmware: "other" }, [0]],
  [{ bootManager: "other" }, [4]],
  [{ bootLoader: "other" }, [4]],
  [{ kernelCommandLine: "init=/bin/sh" }, [8]],
  [{ kernel: "other" }, [9]],
  [{ initrd: "other" }, [9]],
  [{ secureBoot: false }, [7]],
  [{}, []],
]
for (const [changed, moved] of components)
  pcrs(`move at ${JSON.stringify(changed)} in ${moved.length === 0 ? "none" : moved.join()}`, () => {
    const [before, after] = [p256(), p256({ events: standardBoot(changed) })]
    const differing = Array.from({ length: 24 }, (_, pcr) => pcr).filter((pcr) => {
      const selection = [{ hash: "sha256", pcrs: [pcr] }] as const
      return toHex(before.pcrValues(selection)) !== toHex(after.pcrValues(selection))
    })
    assert.equal(differing, [...moved])
  })
pcrs.run()

const counters = suite("clock and counters")
counters("tell resets, resumes and the time that passes", () => {
  let uptimeMs = 0
  const device = p256({ uptimeMs: () => uptimeMs })
  const seen = () => parseAttest(device.quote({ extraData }).attest).clockInfo
  assert.equal(seen(), { clockMs: 0n, resetCount: 1, restartCount: 0, safe: true })
  uptimeMs = 250.5
  device.advance(1000)
  device.resume()
  assert.equal(seen(), { clockMs: 1250n, resetCount: 1, restartCount: 1, safe: true })
  const before = device.pcrValues()
  device.boot()
  assert.equal(seen(), { clockMs: 1250n, resetCount: 2, restartCount: 0, safe: true })
  assert.equal(device.pcrValues(), before)
})
counters("say what a test sets", () => {
  const device = p256()
  device.setState({ safe: false, resetCount: 0, firmwareVersion: 9n })
  const attest = parseAttest(device.quote({ extraData }).attest)
  assert.equal(attest.clockInfo, { clockMs: 0n, resetCount: 0, restartCount: 0, safe: false })
  assert.is(attest.firmwareVersion, 9n)
})
counters.run()

const refusals = suite("createSoftwareDevice")
refusals("refuses a scheme that the key cannot do", () => {
  const wrong: [algorithm: KeyAlgorithm, scheme: "rsassa" | "ecdsa"][] = [
    ["rsa-2048", "ecdsa"],
    ["p256", "rsassa"],
  ]
  for (const [algorithm, scheme] of wrong)
    assert.throws(
      () => createSoftwareDevice({ algorithm, scheme, sharedKeys: true }).quote({ extraData }),
      (error: unknown) => error instanceof TypeError,
    )
})
refusals.run()
