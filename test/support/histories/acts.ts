/** What operators, makers and devices do in a history, to both services alike. */
import { hash } from "node:crypto"
import { EV_IPL, standardBoot } from "../../../src/device/boot.ts"
import type { SoftwareDevice } from "../../../src/device/software.ts"
import { AssayError } from "../../../src/errors.ts"
import { parsePublic } from "../../../src/evidence/tpm/public.ts"
import { challengeExtraData } from "../../../src/evidence/transcript.ts"
import type { AnchorRecord, TrustImport } from "../../../src/service/ports.ts"
import { createKeyObject } from "../../../src/verification/key.ts"
import type { RevocationMode } from "../../../src/verification/revocation.ts"
import { authority, crlNumber, entry, makeCrl, rawInteger } from "../crl.ts"
import { akChainOf, caOf, endorsedBy, INTERMEDIATE, idOf, NOTHING, ROOT } from "../endorsed.ts"
import { newAct } from "../ports/samples.ts"
import { evidenceOver, GATEWAY, TEST_ANCHOR } from "../service.ts"
import { policyDocument, testDevice } from "../world.ts"
import { time } from "../x509.ts"
import type { Step } from "./steps.ts"
import type { Pair, Slot, World } from "./world.ts"

/** Those that do not tell the boots apart. */
const PCRS = [0, 1, 2, 3, 4, 6, 7]
const LEAF = "4711"
const HOUR_MS = 3_600_000
const OTHER_BOOT = testDevice({ banks: ["sha256"], events: standardBoot({ bootLoader: "another" }) })

const policyOf = (slot: Slot, i: number, n: number): string => {
  const named = { name: `p-${i}`, pcrs: PCRS } as const
  if (n === 0) return policyDocument(slot.device, named)
  return n === 1
    ? policyDocument(slot.device, { ...named, evidence: { eventLog: "optional" }, clock: { resetsMax: 1 } })
    : policyDocument(OTHER_BOOT, named)
}

/** The chain that the second device is registered with, and that any device may show. */
export const chainOf = (device: SoftwareDevice, validity?: Uint8Array): Uint8Array[] =>
  akChainOf(device, { leaf: { serialNumber: rawInteger(LEAF), ...(validity && { validity }) } })

const ekSpki = async (device: SoftwareDevice): Promise<Uint8Array> =>
  new Uint8Array(
    createKeyObject(parsePublic(await device.ekPublic()).key).export({ type: "spki", format: "der" }),
  )

/** How the trust that devices lead to stands. */
interface Standing {
  anchor: boolean
  revocation: RevocationMode
  listed: boolean
}
const standings = new WeakMap<Pair, Standing>()
const standingOf = (pair: Pair): Standing => {
  const known = standings.get(pair) ?? { anchor: false, revocation: "off", listed: false }
  standings.set(pair, known)
  return known
}

/** Where nobody is trusted at all, nothing is verified: this one stays. */
const other = authority("Other Root")
const OTHER_ANCHOR = caOf(other, other)

const anchorWith = (
  revocation: RevocationMode,
  certificate = TEST_ANCHOR,
): Omit<AnchorRecord, "tenant" | "addedAt"> => ({
  id: idOf(certificate),
  certificate,
  label: "test",
  purpose: "any",
  revocation,
  provenance: "test",
})

const importAll = async ({ worlds, shared }: Pair, parts: Partial<TrustImport>): Promise<void> => {
  for (const { store } of worlds)
    await store.trust.importTrust(
      "default",
      { ...NOTHING, ...parts },
      newAct("import-trust", { at: shared.now }),
    )
}
const removeAll = async ({ worlds, shared }: Pair, id: string): Promise<void> => {
  for (const { store } of worlds)
    await store.trust.removeTrust("default", id, newAct("remove-trust", { at: shared.now }))
}

const setAnchor = async (pair: Pair, present: boolean, revocation: RevocationMode = "off"): Promise<void> => {
  const standing = standingOf(pair)
  if (present && (!standing.anchor || standing.revocation !== revocation))
    await importAll(pair, { anchors: [anchorWith(revocation)] })
  if (!present && standing.anchor) await removeAll(pair, idOf(TEST_ANCHOR))
  Object.assign(standing, { anchor: present, revocation })
}

const setListed = async (pair: Pair, listed: boolean): Promise<void> => {
  const standing = standingOf(pair)
  const device = pair.slots[2]?.keys[0]
  if (device === undefined || standing.listed === listed) return
  const digest = new Uint8Array(hash("sha256", await ekSpki(device), "buffer"))
  if (listed) await importAll(pair, { eks: [{ digest, label: "" }] })
  else await removeAll(pair, Buffer.from(digest).toString("hex"))
  standing.listed = listed
}

let number = 0
/** New lists of both issuers, for two hours. */
const publish = async (pair: Pair, revoked: boolean): Promise<void> => {
  const { now } = pair.shared
  number += 1
  const parts = {
    thisUpdate: time(new Date(now.getTime() - HOUR_MS)),
    nextUpdate: time(new Date(now.getTime() + 2 * HOUR_MS)),
    extensions: [crlNumber(`01${number.toString(16).padStart(6, "0")}`)],
  }
  const root = makeCrl(ROOT, parts)
  const ca = makeCrl(INTERMEDIATE, { ...parts, entries: revoked ? [entry(LEAF)] : undefined })
  await importAll(pair, {
    crls: [
      { source: "import:root", id: idOf(root), crl: root },
      { source: "import:ca", id: idOf(ca), crl: ca },
    ],
  })
}

const endorsementOf = async (i: number, device: SoftwareDevice) =>
  endorsedBy({
    ...(i === 1 && { akCertificateChain: chainOf(device) }),
    ...(i === 2 && { ekPublic: await device.ekPublic() }),
  })

const register = async (pair: Pair, slot: Slot, i: number): Promise<void> => {
  const { akPublic, qualifiedName } = slot.device
  const endorsement = await endorsementOf(i, slot.keys[0])
  for (const { elsewhere } of pair.worlds) {
    await elsewhere.registerDevice({ id: slot.id, akPublic, qualifiedName, endorsement }, GATEWAY)
    await elsewhere.assignPolicy({ policy: `p-${i}`, device: slot.id }, GATEWAY)
  }
}

const setPolicy = async ({ worlds }: Pair, slot: Slot, i: number, n: number): Promise<void> => {
  for (const { elsewhere } of worlds) await elsewhere.setPolicy(policyOf(slot, i, n), GATEWAY)
}

/** Makes both services know all devices. */
export const settle = async (pair: Pair): Promise<void> => {
  await importAll(pair, { anchors: [anchorWith("off", OTHER_ANCHOR)] })
  await setAnchor(pair, true)
  await setListed(pair, true)
  for (const [i, slot] of pair.slots.entries()) {
    await setPolicy(pair, slot, i, 0)
    await register(pair, slot, i)
  }
}

/** Puts back what a history has left, so that the next one does not begin with everybody refused. */
export const restore = async (pair: Pair): Promise<void> => {
  await setAnchor(pair, true)
  await setListed(pair, true)
  const { store } = pair.worlds[0]
  for (const [i, slot] of pair.slots.entries()) {
    const { state } = await store.registry.device("default", slot.id)
    if (state === "suspended") await verb(pair, slot, "resume")
    if (state === "revoked" || slot.device !== slot.keys[0]) {
      for (const world of pair.worlds)
        await world.store.devices.remove("default", slot.id, undefined, newAct("delete-device"))
      slot.generation += 1
      slot.id = `device-${i}-${slot.generation}`
      slot.device = slot.keys[0]
      await register(pair, slot, i)
    }
    const { document } = await store.registry.policy("default", `p-${i}`)
    if (document !== policyOf(slot, i, 0)) await setPolicy(pair, slot, i, 0)
  }
}

const verb = async (
  { worlds }: Pair,
  { id }: Slot,
  name: "suspend" | "resume" | "revoke" | "acceptFirmware",
): Promise<void> => {
  for (const { elsewhere } of worlds)
    await elsewhere.moveDevice(name, { id, etag: "" }, GATEWAY).catch(ignoreRefusal)
}
const ignoreRefusal = (error: unknown): void => {
  if (!(error instanceof AssayError)) throw error
}

/** Gives the device its other key, by its operator's word. */
const rotate = async ({ worlds }: Pair, slot: Slot): Promise<void> => {
  const [first, second] = slot.keys
  const device = slot.device === first ? second : first
  const { akPublic, akName, qualifiedName } = device
  for (const { store } of worlds) {
    const { ek, binding } = await store.registry.device("default", slot.id)
    const endorsement = { akCertificateChain: [], ekCertificateChain: [], ekDigest: undefined }
    const keys = { akPublic: parsePublic(akPublic).bytes, akName, qualifiedName, ek, binding, endorsement }
    await store.devices
      .change("default", slot.id, undefined, { keys }, newAct("update-device"))
      .catch(ignoreRefusal)
  }
  slot.device = device
}

/** The device answers a challenge on a replica that tells nobody. */
const answerElsewhere = async ({ worlds }: Pair, { device }: Slot): Promise<void> => {
  const [{ elsewhere }] = worlds
  const { sealed, transcript } = await elsewhere.createChallenge(
    { device: "", audience: "orders", confirmation: undefined, policy: "" },
    GATEWAY,
  )
  const evidence = evidenceOver(device, challengeExtraData(transcript))
  const freshness = { kind: "challenge", challenge: sealed } as const
  for (const world of worlds)
    await world.elsewhere.verify({ freshness, evidence }, GATEWAY).catch(ignoreRefusal)
}

const pass = ({ shared, slots }: Pair, ms: number): void => {
  shared.now = new Date(shared.now.getTime() + ms)
  for (const { device } of slots) if (ms > 0) device.advance(ms)
}

/** Does what a step begins with. */
export const act = async (pair: Pair, step: Step): Promise<void> => {
  const { shared, slots } = pair
  const slot = slots[step.device]
  if (slot === undefined) throw new TypeError("no such device")
  const standing = standingOf(pair)
  switch (step.act) {
    case "none":
      return
    case "second":
      return pass(pair, 1000)
    case "minutes":
      return pass(pair, 90_000 * (step.n + 1))
    case "hour":
      return pass(pair, HOUR_MS)
    case "clock back":
      return pass(pair, -60_000 * (step.n + 1))
    case "reboot":
      slot.earlier = slot.device.eventLog
      return slot.device.boot([...standardBoot(), { pcr: 5, type: EV_IPL, data: Uint8Array.of(step.n) }])
    case "TPM back": {
      const { clockMs } = slot.device.state
      return slot.device.setState({ clockMs: clockMs > 400_000n ? clockMs - 400_000n : 0n })
    }
    case "suspend":
    case "resume":
    case "revoke":
      return verb(pair, slot, step.act)
    case "firmware":
      return verb(pair, slot, "acceptFirmware")
    case "rotate":
      return rotate(pair, slot)
    case "policy":
      return setPolicy(pair, slot, step.device, step.n)
    case "anchor":
      return setAnchor(pair, !standing.anchor)
    case "revocation":
      if (standing.revocation === "off" && step.n > 0) await publish(pair, step.n === 1)
      return setAnchor(pair, true, standing.revocation === "off" ? "require" : "off")
    case "lists":
      return publish(pair, step.n === 0)
    case "listed key":
      return setListed(pair, !standing.listed)
    case "signing key":
      shared.signingKey = 1 - shared.signingKey
      return
    case "epoch key":
      shared.epochKey = 1 - shared.epochKey
      return
    case "elsewhere":
      return answerElsewhere(pair, slot)
  }
}

/** Both services, for what is asked of each. */
export const each = <T>({ worlds }: Pair, ask: (world: World) => Promise<T>): Promise<T[]> =>
  Promise.all(worlds.map(ask))
