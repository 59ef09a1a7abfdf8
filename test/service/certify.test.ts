import { hash, X509Certificate } from "node:crypto"
import { join } from "node:path"
import { decodeJwt } from "jose"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { sameBytes, toBase64Url, toHex } from "../../src/bytes.ts"
import { verifySessionToken } from "../../src/client/session.ts"
import { createSoftwareDevice, type SoftwareDevice } from "../../src/device/software.ts"
import { createSoftwareKey, type SoftwareKey } from "../../src/device/software-key.ts"
import { AssayError } from "../../src/errors.ts"
import { certificatePem, parseCertificate } from "../../src/evidence/x509/certificate.ts"
import type { AttestationResult } from "../../src/result/result.ts"
import { bindSession } from "../../src/service/certify.ts"
import type { NewDeviceCertificate, Ports } from "../../src/service/ports.ts"
import { accepts, withFiles } from "../device/judges.ts"
import { rejectsCode } from "../support/assert.ts"
import { TRUST_DOMAIN, testAuthority, testDeviceAuthority } from "../support/authority.ts"
import { TLS_KEY } from "../support/certified.ts"
import { BOOT_SELECTION } from "../support/core.ts"
import { akChainOf, validity } from "../support/endorsed.ts"
import { newAct } from "../support/ports/samples.ts"
import { ownKeys } from "../support/rsa.ts"
import {
  answered,
  codesOf,
  enroll,
  GATEWAY,
  type ServiceOptions,
  type TestService,
  withService,
} from "../support/service.ts"
import { type PolicyOptions, policyDocument } from "../support/world.ts"
import { NOT_BEFORE } from "../support/x509.ts"

const test = suite("certificates for certified keys")

const device = createSoftwareDevice({ algorithm: "p256", selection: BOOT_SELECTION })

/** What the device answers to a challenge for a key, with the key's certification. */
const answer = async ({ service }: TestService, key: SoftwareKey = TLS_KEY, of: SoftwareDevice = device) => {
  const input = await answered(service, of, { confirmation: { method: "name", name: key.name } })
  const { certification } = of.certifying(key)
  return { ...input, evidence: { ...input.evidence, certification } }
}

const attestKey = async (world: TestService, key?: SoftwareKey): Promise<AttestationResult> => {
  world.advance(1000)
  device.advance(1000)
  return world.service.verify(await answer(world, key), GATEWAY)
}

/** A service that knows the device, by a policy. */
const withDevice = (
  act: (world: TestService) => Promise<void>,
  policy: PolicyOptions = {},
  options: ServiceOptions = {},
): Promise<void> =>
  withService(async (world) => {
    await enroll(world.service, device, policyDocument(device, policy))
    await act(world)
  }, options)

const leafOf = ({ certificateChain }: AttestationResult): X509Certificate => {
  const [leaf, issuer, ...more] = certificateChain
  assert.ok(leaf !== undefined && issuer !== undefined && more.length === 0)
  return new X509Certificate(leaf)
}

test("issues a certificate of the key, for the device, by the authority", () =>
  withDevice(async (world) => {
    const result = await attestKey(world)
    const leaf = leafOf(result)
    const { certificate: authority } = await testAuthority()
    assert.ok(sameBytes(result.certificateChain[1] ?? new Uint8Array(), authority.bytes))
    assert.is(leaf.subject, "CN=device-1")
    assert.is(leaf.subjectAltName, `URI:spiffe://${TRUST_DOMAIN}/tenant/default/device/device-1`)
    assert.equal(new Uint8Array(leaf.publicKey.export({ type: "spki", format: "der" })), TLS_KEY.spki)
    assert.ok(leaf.verify(new X509Certificate(authority.bytes).publicKey))
  }))

test("issues what openssl takes for a TLS client's, and for nothing else", () =>
  withDevice(async (world) => {
    const { certificateChain, evaluatedAt } = await attestKey(world)
    const [leaf = "", ca = ""] = certificateChain.map(certificatePem)
    const at = ["-attime", String(Math.floor(evaluatedAt.getTime() / 1000))]
    const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
    withFiles({ leaf: encode(leaf), ca: encode(ca) }, (folder) => {
      const verify = (...what: readonly string[]): boolean =>
        accepts(
          folder,
          "openssl",
          "verify",
          "-x509_strict",
          ...at,
          "-CAfile",
          join(folder, "ca"),
          ...what,
          "leaf",
        )
      assert.ok(verify("-purpose", "sslclient"))
      for (const purpose of ["sslserver", "smimesign", "timestampsign"])
        assert.not(verify("-purpose", purpose))
    })
  }))

test("binds the session to the certificate, which ends with it", () =>
  withDevice(async (world) => {
    const result = await attestKey(world)
    const leaf = leafOf(result)
    const digest = Buffer.from(leaf.fingerprint256.replaceAll(":", ""), "hex")
    const { cnf, exp } = decodeJwt(result.token.compact)
    assert.equal(cnf, { "x5t#S256": toBase64Url(digest) })
    assert.is(exp, leaf.validToDate.getTime() / 1000)
    const session = verifySessionToken(result.token.compact, {
      keys: world.jwks,
      issuer: "https://assay.example",
      audience: "orders",
      at: world.now(),
      confirmation: { method: "x5t#S256", digest },
    })
    assert.is(session.device, "device-1")
  }))

const HOUR = 3600
const lives: readonly [name: string, policySeconds: number, authoritySeconds: number, expected: number][] = [
  ["as long as the policy lets a session", 300, HOUR, 300],
  ["an hour under a policy of a day", 86_400, HOUR, HOUR],
  ["an hour, whatever the authority is told", 86_400, 86_400, HOUR],
  ["as long as the authority says", 86_400, 600, 600],
]
for (const [name, lifetimeSeconds, authoritySeconds, expected] of lives)
  test(`gives a life of ${name}`, () =>
    withDevice(
      async (world) => {
        const { token, evaluatedAt, attestAt, ...result } = await attestKey(world)
        const leaf = leafOf({ token, evaluatedAt, attestAt, ...result })
        assert.is(leaf.validToDate.getTime() - evaluatedAt.getTime(), expected * 1000)
        assert.is(token.expiresAt.getTime(), leaf.validToDate.getTime())
        assert.is(leaf.validFromDate.getTime(), evaluatedAt.getTime() - 60_000)
        assert.is(attestAt.getTime() - evaluatedAt.getTime(), Math.floor((expected * 2) / 3) * 1000)
      },
      { session: { lifetimeSeconds } },
      { ports: () => ({ deviceAuthority: testDeviceAuthority(authoritySeconds * 1000) }) },
    ))

test("renews by attesting again: the same key, another certificate", () =>
  withDevice(async (world) => {
    const [first, second] = [leafOf(await attestKey(world)), leafOf(await attestKey(world))]
    assert.is.not(first.serialNumber, second.serialNumber)
    assert.ok(first.publicKey.equals(second.publicKey))
    assert.ok(second.validToDate > first.validToDate)
  }))

for (const algorithm of ["p384", "p521", "rsa-2048", "rsa-3072"] as const)
  test(`certifies a key of ${algorithm}`, () =>
    withDevice(async (world) => {
      const key = createSoftwareKey({ algorithm, keys: ownKeys(algorithm) })
      const { spki } = parseCertificate((await attestKey(world, key)).certificateChain[0] ?? new Uint8Array())
      assert.equal(spki, key.spki)
    }))

test("gives serial numbers of 16 positive bytes, never the same", () =>
  withDevice(async (world) => {
    const serials = []
    for (let i = 0; i < 20; i++) serials.push(leafOf(await attestKey(world)).serialNumber)
    for (const serial of serials) assert.match(serial, /^[4-7][0-9A-F]{31}$/)
    assert.is(new Set(serials).size, serials.length)
  }))

/** Counts what the authority is asked for. */
const counting = (asked: NewDeviceCertificate[]): ServiceOptions => ({
  ports: ({ deviceAuthority }: Ports) => ({
    deviceAuthority: {
      issue: (wanted) => {
        asked.push(wanted)
        return deviceAuthority.issue(wanted)
      },
    },
  }),
})

const turnedAway: readonly [name: string, policy: PolicyOptions, prepare: (of: SoftwareDevice) => void][] = [
  ["is a warning, where the policy lets only the affirmed in", { session: { admit: "affirming" } }, () => {}],
  ["booted something else", {}, (of) => of.boot([])],
  ["is for an audience that the policy does not name", { session: { audiences: ["billing"] } }, () => {}],
  [
    "has an unsafe clock, by a policy that wants a safe one",
    { clock: { unsafe: "refused" } },
    (of) => of.setState({ safe: false }),
  ],
]
for (const [name, policy, prepare] of turnedAway)
  test(`refuses T-08 a certificate to a device that ${name}`, async () => {
    const asked: NewDeviceCertificate[] = []
    const own = createSoftwareDevice({ algorithm: "p256", selection: BOOT_SELECTION })
    await withService(async (world) => {
      await enroll(world.service, own, policyDocument(own, policy))
      prepare(own)
      const result = await world.service.verify(await answer(world, TLS_KEY, own), GATEWAY)
      assert.is(result.token.kind, "result")
      assert.equal(result.certificateChain, [])
      assert.not.ok("cnf" in decodeJwt(result.token.compact))
      assert.equal(asked, [], "the authority was not even asked")
    }, counting(asked))
  })

for (const state of ["suspended", "revoked", "retired"] as const)
  test(`refuses T-08 a certificate to a device that is ${state}`, async () => {
    const asked: NewDeviceCertificate[] = []
    await withDevice(
      async (world) => {
        leafOf(await attestKey(world))
        await world.ports.devices.change("default", "device-1", undefined, { state }, newAct("update-device"))
        const result = await attestKey(world)
        assert.is(codesOf(result)[0], "DEVICE_STATE")
        assert.is(result.token.kind, "result")
        assert.equal(result.certificateChain, [])
        assert.is(asked.length, 1)
      },
      {},
      counting(asked),
    )
  })

test("issues a certificate to a device that is a warning, where the policy lets it in", () =>
  withDevice(async (world) => {
    const result = await attestKey(world)
    assert.equal(codesOf(result), ["AK_BINDING_UNPROVEN"])
    assert.is(result.tier, "warning")
    leafOf(result)
  }))

const LEAKED = { reason: "leaked", source: "https://advisory.example" }
test("refuses K-08 a certificate to a key that is denied", async () => {
  const key = createSoftwareKey()
  const digest = hash("sha256", key.spki, "hex")
  await withDevice(
    async (world) => {
      const result = await attestKey(world, key)
      assert.equal(codesOf(result), ["KEY_DENIED"])
      assert.is(result.findings[0]?.location, "certification.key_public")
      leafOf(await attestKey(world))
    },
    {},
    {
      ports: () => ({ denied: { size: 1, find: (one) => (one === digest ? LEAKED : undefined) } }),
    },
  )
})

test("issues nothing for a challenge without a key", async () => {
  const asked: NewDeviceCertificate[] = []
  await withDevice(
    async (world) => {
      const { token, certificateChain } = await world.service.verify(
        await answered(world.service, device),
        GATEWAY,
      )
      assert.is(token.kind, "session")
      assert.equal(certificateChain, [])
      assert.equal(asked, [])
    },
    {},
    counting(asked),
  )
})

test("refuses N-04 to certify for a challenge that has expired", () =>
  withDevice(async (world) => {
    const input = await answer(world)
    world.advance(60_000)
    await rejectsCode(() => world.service.verify(input, GATEWAY), "NONCE_EXPIRED")
  }))

test("refuses N-01 to certify for a challenge twice", () =>
  withDevice(async (world) => {
    const input = await answer(world)
    leafOf(await world.service.verify(input, GATEWAY))
    await rejectsCode(() => world.service.verify(input, GATEWAY), "NONCE_SPENT")
  }))

test("gives no session and no record if the authority cannot issue; the challenge stays spent", () =>
  withDevice(
    async (world) => {
      const before = (await world.journal.records("default")).length
      const error = await rejectsCode(() => attestKey(world), "SIGNER")
      assert.is(error.challenge, "spent")
      assert.is((await world.journal.records("default")).length, before)
    },
    {},
    {
      ports: () => ({
        deviceAuthority: {
          issue: async () => {
            throw new AssayError("SIGNER", "not today")
          },
        },
      }),
    },
  ))

const withheld: readonly [name: string, code: "JOURNAL" | "SNAPSHOT_MOVED"][] = [
  ["the journal cannot write it down", "JOURNAL"],
  ["the device changed meanwhile", "SNAPSHOT_MOVED"],
]
for (const [name, code] of withheld)
  test(`lets no certificate out if ${name}`, () =>
    withDevice(
      async (world) => {
        const error = await rejectsCode(() => attestKey(world), code)
        assert.is(error.challenge, "spent")
        assert.not.match(JSON.stringify(error), /MII|certificate/)
      },
      {},
      {
        ports: ({ journal }) => ({
          journal: {
            ...journal,
            append: async (record, commit) => {
              if (record.act === "verify") throw new AssayError(code, "no")
              return journal.append(record, commit)
            },
          },
        }),
      },
    ))

test("lets a device that quotes any nonce have a session for a certified key, and no other", () =>
  withDevice(
    async (world) => {
      leafOf(await attestKey(world))
      const other = await world.service.verify(await answered(world.service, device), GATEWAY)
      assert.is(codesOf(other)[0], "SESSION_KEY_UNCERTIFIED")
    },
    { evidence: { rawNonce: true } },
  ))

test("ends the certificate with the certificate of the attestation key", () =>
  withService(async (world) => {
    await enroll(world.service, device, policyDocument(device, { session: { lifetimeSeconds: 86_400 } }))
    const ends = new Date(world.now().getTime() + 600_000)
    const akCertificateChain = akChainOf(device, { leaf: { validity: validity(NOT_BEFORE, ends) } })
    const input = await answer(world)
    const result = await world.service.verify(
      { ...input, evidence: { ...input.evidence, akCertificateChain } },
      GATEWAY,
    )
    assert.equal(leafOf(result).validToDate, ends)
  }))

test("refuses a session for a key without its certificate", () => {
  const confirmation = { method: "name", name: TLS_KEY.name } as const
  const asked = { session: () => ({ audience: "orders", confirmation }) }
  assert.equal(bindSession(asked, undefined), { session: undefined })
})

// Names that a challenge may have.

const NAME = (alg: number, bytes: number): Uint8Array =>
  Uint8Array.of(alg >>> 8, alg & 0xff, ...new Uint8Array(bytes).fill(7))
const names: readonly [name: string, bytes: Uint8Array][] = [
  ["of SHA-1", NAME(0x0004, 20)],
  ["of SHA-1, as long as one of SHA-256", NAME(0x0004, 32)],
  ["of SHA-256 with a byte too many", NAME(0x000b, 33)],
  ["of SHA-256 with a byte too few", NAME(0x000b, 31)],
  ["of SHA-256, as long as one of SHA-384", NAME(0x000b, 48)],
  ["of an unknown hash", NAME(0x0012, 32)],
  ["that is the digest alone", new Uint8Array(32).fill(1)],
  ["that is a handle", Uint8Array.of(0x81, 0x01, 0x02, 0x00)],
  ["of no bytes", new Uint8Array()],
]
for (const [what, name] of names)
  test(`refuses a challenge for a Name ${what}`, () =>
    withService(async ({ service }) => {
      const confirmation = { method: "name", name } as const
      const input = { device: "", audience: "orders", confirmation, policy: "" }
      const error = await rejectsCode(() => service.createChallenge(input, GATEWAY), "FIELD")
      assert.is(error.location, "confirmation.key_name")
    }))

for (const [alg, bytes] of [
  [0x000b, 32],
  [0x000c, 48],
  [0x000d, 64],
] as const)
  test(`makes a challenge for a Name of ${bytes + 2} bytes, and seals it`, () =>
    withService(async ({ service }) => {
      const confirmation = { method: "name", name: NAME(alg, bytes) } as const
      const input = { device: "", audience: "orders", confirmation, policy: "" }
      const { transcript } = await service.createChallenge(input, GATEWAY)
      assert.is(
        toHex(transcript.confirmation?.method === "name" ? transcript.confirmation.name : NAME(0, 0)),
        toHex(confirmation.name),
      )
    }))

test.run()
