import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../src/bytes.ts"
import { attestationFixture, QUOTE_FIXTURES, quoteFixture } from "../support/fixtures.ts"
import { signedToken, testSigner, tokenHeader } from "../support/signer.ts"
import { needs, vector } from "../support/vectors.ts"
import { assay, fileOf, jsonOf } from "./run.ts"

const test = suite("assay inspect")
const withVectors = needs("vectors", test)

const inspect = async <T = Record<string, unknown>>(
  kind: string,
  content: Uint8Array | string,
): Promise<T> => {
  const ran = await assay(["inspect", kind, fileOf(content)])
  assert.equal([ran.status, ran.err], [0, ""])
  return jsonOf<T>(ran)
}

for (const name of QUOTE_FIXTURES)
  test(`says of ${name} what tpm2-tools say`, async () => {
    const { attest, signature, akPublic, expected } = quoteFixture(name)
    const quote = await inspect("quote", attest)
    const {
      nonce,
      clockMs,
      resetCount,
      restartCount,
      safe,
      firmwareVersion,
      qualifiedName,
      pcrDigest,
      selection,
    } = expected
    assert.equal(quote, {
      type: "quote",
      qualifiedSigner: qualifiedName,
      extraData: nonce,
      clock: clockMs,
      resetCount,
      restartCount,
      safe,
      firmwareVersion,
      pcrSelect: selection,
      pcrDigest,
    })
    const size = Uint8Array.of(attest.length >> 8, attest.length)
    assert.equal(await inspect("quote", concat(size, attest)), quote, "TPM2B_ATTEST")

    const scheme = `${expected.scheme}:${expected.hash}`
    assert.is((await inspect("signature", signature))["scheme"], scheme)
    for (const form of [akPublic, akPublic.subarray(2)]) {
      const shown = await inspect("public", form)
      assert.equal([shown["name"], shown["scheme"]], [expected.name, scheme])
      assert.equal(shown["attributes"], [
        "fixedTPM",
        "fixedParent",
        "sensitiveDataOrigin",
        "userWithAuth",
        "restricted",
        "sign",
      ])
    }
  })

for (const kind of ["certify", "creation", "time"] as const)
  test(`tells ${kind} from a quote`, async () => {
    const { attest, expected } = attestationFixture(kind)
    const shown = await inspect("quote", attest)
    assert.equal([shown["type"], shown["extraData"]], [kind, expected.nonce])
    assert.is(shown["objectName"], expected.name)
  })

interface InspectedLog {
  readonly format: string
  readonly banks: readonly string[]
  readonly events: readonly {
    readonly sequence: number
    readonly pcr: number
    readonly untrustedType: string
    readonly digests: Readonly<Record<string, string>>
    readonly untrustedDataBytes: number
  }[]
}

withVectors("lists the events of a log, with types that nobody vouches for", async () => {
  const log = await inspect<InspectedLog>("eventlog", vector("eventlogs/keylime-bios-startuplocality.bin"))
  assert.equal([log.format, log.banks, log.events.length], ["crypto-agile", ["sha1", "sha256"], 121])
  assert.equal(
    log.events.slice(0, 3).map(({ sequence, pcr, untrustedType }) => [sequence, pcr, untrustedType]),
    [
      [0, 0, "EV_NO_ACTION"],
      [1, 0, "EV_NO_ACTION"],
      [2, 0, "EV_S_CRTM_CONTENTS"],
    ],
  )
  assert.equal(Object.keys(log.events[5]?.digests ?? {}), ["sha1", "sha256"])
  const windows = await inspect<InspectedLog>("eventlog", vector("eventlogs/guard-windows_event_log.bin"))
  assert.ok(windows.events.some(({ pcr }) => pcr === 0xffffffff))
})

withVectors("gives a person one line for each event", async () => {
  const { out } = await assay(["inspect", "eventlog", "-", "-o", "table"], {
    stdin: vector("eventlogs/tpm2tools-event-uefivar.bin"),
  })
  assert.match(out, /^1 +7 +EV_EFI_VARIABLE_DRIVER_CONFIG/m)
})

test("decodes a token and says that it is not verified", async () => {
  const signer = testSigner()
  const token = signedToken(signer, tokenHeader(signer), { iss: "x", exp: 1 })
  assert.equal(await inspect("token", `${token}\n`), {
    verified: false,
    header: tokenHeader(signer),
    claims: { iss: "x", exp: 1 },
  })
  const { out } = await assay(["inspect", "token", fileOf(token), "-o", "table"])
  assert.match(out, /^not verified\nheader.alg/)
})

const { attest, signature, akPublic } = quoteFixture("p256-sha256")
const malformed: readonly [kind: string, name: string, content: Uint8Array | string, code: string][] = [
  ["quote", "a byte too many", concat(attest, Uint8Array.of(0)), "FRAMING"],
  ["quote", "a size that is not the rest's", concat(Uint8Array.of(0, 144), attest), "QUOTE_MAGIC"],
  ["quote", "nothing", "", "FRAMING"],
  ["signature", "a byte too few", signature.subarray(0, -1), "FRAMING"],
  ["public", "another size", concat(akPublic, Uint8Array.of(0)), "FRAMING"],
  ["eventlog", "text", "log", "FRAMING"],
  ["token", "two parts", "e30.e30", "INPUT"],
  ["token", "four parts", "e30.e30.e30.e30", "INPUT"],
  ["token", "no JSON", "eA.e30.e30", "INPUT"],
  ["token", "no base64url", "e30=.e30.e30", "INPUT"],
  ["token", "bytes that are no text", Uint8Array.of(0xff, 0xfe), "INPUT"],
]
for (const [kind, name, content, code] of malformed)
  test(`ends with 2 for a ${kind} with ${name}`, async () => {
    const ran = await assay(["inspect", kind, fileOf(content)])
    assert.equal([ran.status, jsonOf<{ error: { code: string } }>(ran).error.code], [2, code])
  })

test.run()
