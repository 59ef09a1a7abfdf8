import { hash } from "node:crypto"
import { concat, toHex, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { parseChain } from "../evidence/evidence.ts"
import { parseName, parsePublic } from "../evidence/tpm/public.ts"
import type { Certificate } from "../evidence/x509/certificate.ts"
import { nameText } from "../evidence/x509/name.ts"
import { verifyEndorsements } from "../verification/endorsements.ts"
import { createAttestationKey, createKeyObject } from "../verification/key.ts"
import { checkNotDenied } from "../verification/weak-key.ts"
import type { Caller, DeviceRecord, Ports } from "./ports.ts"
import type { EndorsementInput, RegisterDeviceInput } from "./service.ts"

/**
 * Registers a device by its attestation key, on its operator's word. The key must be an attestation key; that it lives in
 * a TPM is proven only by a certificate of that key, and without one every appraisal says so (AK_BINDING_UNPROVEN).
 *
 * What is registered with it has to hold: certificates lead to trust anchors, and an endorsement key without a
 * certificate is on the list. Expiry of an endorsement key is the policy's to judge, later. An issuer that nobody decided
 * about is kept for review, and trusted for nothing.
 *
 * @throws {AssayError} PUBLIC_AREA, FRAMING, LENGTH, AK_ATTRIBUTES, SIG_ALG, WEAK_KEY, ROCA, KEY_DENIED, DEVICE_EXISTS; as `parseChain` and
 *   `verifyEndorsements`; UNTRUSTED_ROOT for an endorsement key that is not listed; REGISTRY, JOURNAL, TRUST.
 */
export const createRegisterDevice =
  (ports: Ports) =>
  async (input: RegisterDeviceInput, { tenant, id: caller }: Caller): Promise<DeviceRecord> => {
    const at = ports.clock.now()
    const area = parsePublic(input.akPublic)
    const ak = createAttestationKey(area)
    checkNotDenied(ak.spki, ports.denied, "ak_public")
    const qualifiedName = input.qualifiedName === undefined ? undefined : parseName(input.qualifiedName)
    const { akCertificateChain, ekCertificateChain, ekPublic } = input.endorsement ?? NOTHING
    const shown = {
      akChain: parseChain(akCertificateChain, "ak_certificate_chain"),
      ekChain: parseChain(ekCertificateChain, "ek_certificate_chain"),
      ekListed: false,
    }
    const ekDigest = await listedDigest(ports, tenant, ekPublic)
    for (const chain of [shown.akChain, shown.ekChain])
      if (chain.length > 0) ports.want(tenant, chain, input.id)
    if (shown.akChain.length + shown.ekChain.length > 0) {
      const { generation } = await ports.trust.trustState(tenant)
      const trust = await ports.loadTrust(tenant, generation)
      const options = { at, expiredLeaf: "allow" } as const
      // The endorsement key by itself first: the issuer that is kept for review is nobody else's.
      await keepingIssuers(ports, tenant, shown.ekChain, at, () =>
        verifyEndorsements({ ...shown, akChain: [] }, ak, trust, options),
      )
      verifyEndorsements(shown, ak, trust, options)
    }
    const device = await ports.registry.registerDevice({
      tenant,
      id: input.id,
      akPublic: area.bytes,
      akName: area.name,
      qualifiedName,
      endorsement: { akCertificateChain, ekCertificateChain, ekDigest },
      createdAt: at,
    })
    const registered = [area.bytes, ...akCertificateChain, ...ekCertificateChain]
    await ports.journal.append({
      at,
      tenant,
      caller,
      act: "register-device",
      device: device.id,
      outcome: "done",
      codes: [],
      evidenceDigest: hash("sha256", concat(...registered), "buffer"),
      policyDigest: undefined,
      revisions: { device: device.revision, policy: undefined, trust: undefined },
      tokenId: undefined,
    })
    return device
  }

const NOTHING: EndorsementInput = { akCertificateChain: [], ekCertificateChain: [], ekPublic: undefined }

/** Digest of an endorsement key that has no certificate: it is on the list, or the device is not registered. */
const listedDigest = async (
  { trust, denied }: Ports,
  tenant: string,
  ekPublic: Uint8Array | undefined,
): Promise<Uint8Array | undefined> => {
  if (ekPublic === undefined) return undefined
  const spki = createKeyObject(parsePublic(ekPublic).key).export({ type: "spki", format: "der" })
  checkNotDenied(spki, denied, "ek_public")
  const digest = hash("sha256", spki, "buffer")
  if ((await trust.listedEk(tenant, digest)) !== undefined) return digest
  throw new AssayError("UNTRUSTED_ROOT", "the endorsement key has no certificate and is not on the list", {
    location: "ek_public",
    expected: "a key listed with `assay trust import-eks`",
    actual: `SHA-256 ${toHex(digest)}`,
  })
}

/** Runs `verify`; if it fails for lack of a trusted issuer of the endorsement key, the issuer is kept for review. */
const keepingIssuers = async (
  { trust }: Ports,
  tenant: string,
  chain: readonly Certificate[],
  at: Date,
  verify: () => unknown,
): Promise<void> => {
  try {
    verify()
  } catch (error) {
    const [leaf] = chain
    if (leaf !== undefined && error instanceof AssayError && error.code === "UNTRUSTED_ROOT") {
      const { issuer } = topOf(leaf, chain)
      await trust.notePending(
        tenant,
        {
          id: hash("sha256", utf8(issuer.key), "hex"),
          issuer: nameText(issuer),
          chain: chain.map(({ bytes }) => bytes),
        },
        at,
      )
    }
    throw error
  }
}

/** The last certificate that names alone lead to: its issuer is the one that is not known. */
const topOf = (leaf: Certificate, chain: readonly Certificate[]): Certificate => {
  let top = leaf
  for (let steps = chain.length; steps > 0; steps--)
    top = chain.find((one) => one !== top && one.subject.key === top.issuer.key) ?? top
  return top
}
