import { hash } from "node:crypto"
import { concat } from "../bytes.ts"
import { parseChain } from "../evidence/evidence.ts"
import { parseName, parsePublic } from "../evidence/tpm/public.ts"
import type { Certificate } from "../evidence/x509/certificate.ts"
import { plainSpkiOf } from "../verification/certificate-key.ts"
import { createAttestationKey, createKeyObject } from "../verification/key.ts"
import { checkNotDenied } from "../verification/weak-key.ts"
import { actOf } from "./act.ts"
import type { Caller, DeviceRecord, Ports } from "./ports.ts"
import type { EndorsementInput, RegisterDeviceInput } from "./service.ts"
import { checkListed, verifyShown } from "./vouching.ts"

/**
 * Registers a device by its attestation key, on its operator's word. The key must be an attestation key; that it lives in
 * a TPM is proven only by a certificate of that key, and without one every appraisal says so (AK_BINDING_UNPROVEN).
 *
 * What is registered with it has to hold: certificates lead to trust anchors, and an endorsement key without a
 * certificate is on the list. Expiry of an endorsement key is the policy's to judge, later. An issuer that nobody decided
 * about is kept for review, and trusted for nothing.
 *
 * @throws {AssayError} PUBLIC_AREA, FRAMING, LENGTH, AK_ATTRIBUTES, SIG_ALG, WEAK_KEY, ROCA, KEY_DENIED, DEVICE_EXISTS; as `parseChain` and
 *   `verifyShown`; UNTRUSTED_ROOT for an endorsement key that is not listed; REGISTRY, JOURNAL, TRUST.
 */
export const createRegisterDevice =
  (ports: Ports) =>
  async (input: RegisterDeviceInput, caller: Caller): Promise<DeviceRecord> => {
    const { tenant } = caller
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
    if (shown.akChain.length + shown.ekChain.length > 0) await verifyShown(ports, caller, shown, ak, at)
    const registered = [area.bytes, ...akCertificateChain, ...ekCertificateChain]
    const act = actOf(ports, caller, "register-device", hash("sha256", concat(...registered), "buffer"))
    return ports.registry.registerDevice(
      {
        tenant,
        id: input.id,
        akPublic: area.bytes,
        akName: area.name,
        qualifiedName,
        ek: ekDigest ?? certifiedEk(shown.ekChain),
        binding: shown.akChain.length > 0 ? "certificate" : "operator",
        endorsement: { akCertificateChain, ekCertificateChain, ekDigest },
        group: "",
        labels: new Map(),
        claimedName: "",
        createdAt: at,
      },
      act,
    )
  }

const NOTHING: EndorsementInput = { akCertificateChain: [], ekCertificateChain: [], ekPublic: undefined }

/** SHA-256 of the key that an endorsement certificate certifies. */
const certifiedEk = ([leaf]: readonly Certificate[]): Uint8Array | undefined =>
  leaf && hash("sha256", plainSpkiOf(leaf), "buffer")

/** Digest of an endorsement key that has no certificate: it is on the list, or the device is not registered. */
const listedDigest = async (
  ports: Ports,
  tenant: string,
  ekPublic: Uint8Array | undefined,
): Promise<Uint8Array | undefined> => {
  if (ekPublic === undefined) return undefined
  const spki = createKeyObject(parsePublic(ekPublic).key).export({ type: "spki", format: "der" })
  checkNotDenied(spki, ports.denied, "ek_public")
  const digest = hash("sha256", spki, "buffer")
  await checkListed(ports, tenant, digest)
  return digest
}
