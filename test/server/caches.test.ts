/** C-01 to C-05 against a server with every cache, through gRPC: what moves, and what is nearly the same. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Code } from "../../src/errors.ts"
import type { TpmEvidence } from "../../src/gen/assay/v1/evidence_pb.ts"
import { flipped } from "../support/core.ts"
import { authority, entry, makeCrl } from "../support/crl.ts"
import { akChainOf, caOf, INTERMEDIATE, idOf, importCrls, ROOT } from "../support/endorsed.ts"
import { logDigest } from "../support/logs.ts"
import { newAct } from "../support/ports/samples.ts"
import { START, TEST_ANCHOR, type TestService } from "../support/service.ts"
import { policyDocument } from "../support/world.ts"
import { time } from "../support/x509.ts"
import {
  answering,
  CHAIN,
  codesOf,
  device,
  EPOCH_MS,
  LEAF,
  OTHER_BOOT,
  refuses,
  remembers,
  type Warm,
  warm,
  withEvidence,
} from "./warm.ts"

const test = suite("caches behind the server")

const state =
  (to: "suspended" | "revoked") =>
  ({ world: { ports } }: Warm) =>
    ports.devices.change("default", "device-1", undefined, { state: to }, newAct("suspend-device"))
const lists = ({ world }: Warm, entries?: readonly Uint8Array[]): Promise<void> => {
  const current = {
    thisUpdate: time(new Date(START.getTime() - 1000)),
    nextUpdate: time(new Date(START.getTime() + 30_000)),
  }
  return importCrls(world, makeCrl(ROOT, current), makeCrl(INTERMEDIATE, { ...current, entries }))
}
const anchorAs = ({ world }: Warm, changed: Parameters<TestService["trustAnchor"]>[1]) =>
  world.trustAnchor(TEST_ANCHOR, changed)

const moved: readonly [id: string, name: string, move: (warm: Warm) => unknown, code: Code][] = [
  ["C-01", "its device was suspended", state("suspended"), "DEVICE_STATE"],
  [
    "C-01",
    "its policy has another revision",
    ({ world }) => world.service.setPolicy(policyDocument(OTHER_BOOT, { name: "device-1" }), OPERATOR),
    "REFERENCE_SET",
  ],
  [
    "C-01",
    "another policy judges it",
    async ({ world: { service } }) => {
      await service.setPolicy(policyDocument(OTHER_BOOT, { name: "other" }), OPERATOR)
      await service.assignPolicy({ policy: "other", device: "device-1" }, OPERATOR)
    },
    "REFERENCE_SET",
  ],
  [
    "C-01",
    "its anchor is for another purpose",
    (warm) => anchorAs(warm, { purpose: "ek" }),
    "UNTRUSTED_ROOT",
  ],
  [
    "C-01",
    "its maker's lists revoke it",
    async (warm) => {
      anchorAs(warm, { revocation: "require" })
      await lists(warm, [entry(LEAF)])
    },
    "REVOKED",
  ],
  [
    "C-01",
    "its anchor asks for lists that are not there",
    (warm) => anchorAs(warm, { revocation: "require" }),
    "REVOCATION",
  ],
  [
    "C-01",
    "its key is another device's",
    async ({ world: { ports, service } }) => {
      await ports.devices.remove("default", "device-1", undefined, newAct("delete-device"))
      const { akPublic, qualifiedName } = device
      await service.registerDevice({ id: "device-2", akPublic, qualifiedName }, OPERATOR)
    },
    "NO_POLICY",
  ],
  ["C-04", "its device was revoked", state("revoked"), "DEVICE_STATE"],
  ["C-04", "its certificate has ended", ({ world }) => world.advance(62_000), "VALIDITY"],
  [
    "C-04",
    "a list that it rests on has ended",
    async (warm) => {
      anchorAs(warm, { revocation: "require" })
      await lists(warm)
      await remembers({ ...warm, first: await warm.client.verify(warm.shown) })
      warm.world.advance(32_000)
    },
    "REVOCATION",
  ],
  ["C-04", "its epoch is over", ({ world }) => world.advance(2 * EPOCH_MS), "EPOCH"],
  ["C-04", "the clock was set back before its epoch", ({ world }) => world.advance(-EPOCH_MS), "EPOCH"],
  [
    "C-04",
    "its anchor was removed",
    async ({ world }) => {
      world.trustAnchor(caOf(other, other))
      await world.service.trustState(OPERATOR)
      await world.trust.removeTrust("default", idOf(TEST_ANCHOR), newAct("remove-trust"))
    },
    "UNTRUSTED_ROOT",
  ],
  [
    "C-04",
    "its device was removed",
    ({ world: { ports } }) => ports.devices.remove("default", "device-1", undefined, newAct("delete-device")),
    "DEVICE_NOT_FOUND",
  ],
]
const OPERATOR = { tenant: "default", id: "operator" }
const [, OTHER_CHAIN = new Uint8Array()] = akChainOf(OTHER_BOOT)
const other = authority("Other Root")
for (const [id, name, move, code] of moved)
  test(`refuses ${id} through gRPC what was accepted before: ${name}`, () =>
    warm(async (given) => {
      await remembers(given)
      await move(given)
      await refuses(given, given.shown, code)
      if (code !== "EPOCH" && code !== "VALIDITY") {
        const codes = await codesOf(given.client, await answering(given.client))
        assert.ok(codes.includes(code), `over a challenge: ${codes}`)
      }
    }))

const N = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
/** The other signature of the same bytes by the same key: s is as good as n - s. */
const twinOf = (signature: Uint8Array): Uint8Array => {
  const s = BigInt(`0x${Buffer.from(signature.subarray(-32)).toString("hex")}`)
  const other = Buffer.from((N - s).toString(16).padStart(64, "0"), "hex")
  return Uint8Array.of(...signature.subarray(0, -32), ...other)
}
const twins: readonly [
  id: string,
  name: string,
  change: (evidence: TpmEvidence) => Partial<TpmEvidence>,
  code: Code | undefined,
][] = [
  [
    "C-02",
    "the other signature of the same quote",
    ({ signature }) => ({ signature: twinOf(signature) }),
    undefined,
  ],
  [
    "C-02",
    "a certificate that nobody needs",
    () => ({ akCertificateChain: [...CHAIN, OTHER_CHAIN] }),
    undefined,
  ],
  [
    "C-02",
    "its own certificates, which it need not show",
    () => ({ akCertificateChain: [...CHAIN] }),
    undefined,
  ],
  ["C-02", "a byte behind its quote", ({ attest }) => ({ attest: Uint8Array.of(...attest, 0) }), "FRAMING"],
  [
    "C-02",
    "a byte behind its log",
    ({ eventLog }) => ({ eventLog: Uint8Array.of(...eventLog, 1) }),
    "FRAMING",
  ],
  [
    "C-02",
    "a byte behind its issuer's certificate",
    () => ({ akCertificateChain: CHAIN.map((der, i) => Uint8Array.of(...der, ...(i === 1 ? [0] : []))) }),
    "TRAILING",
  ],
  [
    "C-02",
    "its log called by its digest",
    ({ eventLog }) => ({ eventLog: new Uint8Array(), eventLogDigest: logDigest(eventLog) }),
    undefined,
  ],
  [
    "C-03",
    "the last byte of its quote in its signature",
    ({ attest, signature }) => ({
      attest: attest.subarray(0, -1),
      signature: Uint8Array.of(attest.at(-1) ?? 0, ...signature),
    }),
    "FRAMING",
  ],
  [
    "C-03",
    "the last byte of its signature in its log",
    ({ signature, eventLog }) => ({
      signature: signature.subarray(0, -1),
      eventLog: Uint8Array.of(signature.at(-1) ?? 0, ...eventLog),
    }),
    "FRAMING",
  ],
  [
    "C-03",
    "the digest of its log as its log",
    ({ eventLog }) => ({ eventLog: logDigest(eventLog) }),
    "LENGTH",
  ],
  [
    "C-03",
    "its log and the digest of it",
    ({ eventLog }) => ({ eventLogDigest: logDigest(eventLog) }),
    "FIELD",
  ],
  [
    "C-03",
    "a digest of its log that is cut off",
    ({ eventLog }) => ({ eventLog: new Uint8Array(), eventLogDigest: logDigest(eventLog).subarray(0, 31) }),
    "FIELD",
  ],
  [
    "C-03",
    "its certificates in one",
    () => ({ akCertificateChain: [Uint8Array.from(CHAIN.flatMap((der) => [...der]))] }),
    "TRAILING",
  ],
  [
    "C-05",
    "a bit of its signature flipped",
    ({ signature }) => ({ signature: flipped(signature, 40) }),
    "SIGNATURE",
  ],
  ["C-05", "a bit of its quote flipped", ({ attest }) => ({ attest: flipped(attest, 60) }), "SIGNATURE"],
  [
    "C-05",
    "a bit of its values flipped",
    ({ pcrBanks }) => ({ pcrBanks: pcrBanks.map((bank) => ({ ...bank, values: flipped(bank.values, 3) })) }),
    "PCR_DIGEST",
  ],
  [
    "C-05",
    "a bit of its log flipped",
    ({ eventLog }) => ({ eventLog: flipped(eventLog, eventLog.length - 90) }),
    "EVENT_LOG_REPLAY",
  ],
  ["C-05", "no log", () => ({ eventLog: new Uint8Array() }), "EVENT_LOG_MISSING"],
  ["C-05", "another device's certificates", () => ({ akCertificateChain: akChainOf(OTHER_BOOT) }), "AK_NAME"],
]
for (const [id, name, change, code] of twins)
  test(`${code === undefined ? "judges by itself" : "refuses"} ${id} through gRPC what was accepted before, with ${name}`, () =>
    warm(async (given) => {
      const request = withEvidence(given.shown, change)
      const before = given.judged()
      if (code === undefined) {
        assert.equal(await codesOf(given.client, request), await codesOf(given.plain.client, request))
        assert.is(given.judged(), before + 1)
      } else await refuses(given, request, code)
      await remembers(given)
    }))

test.run()
