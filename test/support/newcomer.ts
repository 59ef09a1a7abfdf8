/** Devices that nobody knows yet, with an endorsement key that is certified below TEST_ANCHOR. */
import { hash } from "node:crypto"
import {
  createSoftwareDevice,
  type SoftwareDevice,
  type SoftwareDeviceOptions,
} from "../../src/device/software.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { createKeyObject } from "../../src/verification/key.ts"
import { BOOT_SELECTION } from "./core.ts"
import {
  type CertificateParts,
  EK_EXTENSIONS,
  keyUsage,
  LEAF_KEYS,
  makeChain,
  withExtensions,
} from "./x509.ts"

/** A device with keys of its own, quick to make. */
export const newcomer = (options: Partial<SoftwareDeviceOptions> = {}): SoftwareDevice =>
  createSoftwareDevice({ algorithm: "p256", selection: BOOT_SELECTION, ...options })

/** SubjectPublicKeyInfo of a key, by its public area. */
export const spkiOfArea = (publicArea: Uint8Array): Uint8Array =>
  new Uint8Array(createKeyObject(parsePublic(publicArea).key).export({ type: "spki", format: "der" }))

/** What an endorsement key is known by. */
export const ekDigestOf = async (device: SoftwareDevice): Promise<Uint8Array> =>
  new Uint8Array(hash("sha256", spkiOfArea(await device.ekPublic()), "buffer"))

/** The chain of a device's endorsement key below TEST_ANCHOR, but for the changes: the leaf and its issuer. */
export const ekChainFor = async (
  device: SoftwareDevice,
  changed: Partial<CertificateParts> = {},
): Promise<Uint8Array[]> => {
  const area = parsePublic(await device.ekPublic())
  const extensions = area.key.kind === "rsa" ? withExtensions(EK_EXTENSIONS, keyUsage(2)) : EK_EXTENSIONS
  const leafKeys = { ...LEAF_KEYS, spki: spkiOfArea(area.bytes) }
  const { leaf, intermediate } = makeChain("ek", { leafKeys, leaf: { extensions, ...changed } })
  return [leaf, intermediate]
}
