/** Which machine of a cloud a device is, as the certificates of its keys say. */
import { AssayError } from "../errors.ts"
import { parseChain } from "../evidence/evidence.ts"
import type { CloudInstance } from "../evidence/x509/gce-instance.ts"
import type { DeviceEndorsement, DeviceRecord } from "./ports.ts"

/**
 * The instance that the certificates which a device is known by name, its attestation key's before its endorsement key's. A
 * certificate that cannot be read says nothing.
 */
export const recordedInstance = ({
  akCertificateChain,
  ekCertificateChain,
}: DeviceEndorsement): CloudInstance | undefined =>
  instanceOf(akCertificateChain) ?? instanceOf(ekCertificateChain)

const instanceOf = (chain: readonly Uint8Array[]): CloudInstance | undefined => {
  try {
    const [leaf] = parseChain(chain.slice(0, 1), "certificate")
    return leaf?.extensions.instance
  } catch (error) {
    if (error instanceof AssayError) return undefined
    throw error
  }
}

/**
 * What a device calls itself is a label. But where its certificate names the instance that it is, it must not call itself
 * another's name: people go by labels.
 *
 * @param claimedName Empty for no claim.
 * @throws {AssayError} AK_BINDING for another name than the instance's name or id.
 */
export const checkClaim = (claimedName: string, instance: CloudInstance | undefined): void => {
  if (claimedName === "" || instance === undefined) return
  if (claimedName === instance.name || claimedName === instance.id) return
  throw new AssayError("AK_BINDING", "the certificate is of another instance than the device says it is", {
    location: "claimed_name",
    expected: `${instance.name} or ${instance.id}`,
    actual: claimedName,
  })
}

/**
 * Whatever key it comes with, a device that enrolls again is the instance that it was. A board swap is to another machine.
 *
 * @param before With the permit that it comes by.
 * @throws {AssayError} AK_BINDING for certificates that name another instance, or none any more.
 */
export const checkSameInstance = (before: DeviceRecord, endorsement: DeviceEndorsement): void => {
  const recorded = recordedInstance(before.endorsement)
  if (recorded === undefined || before.permit?.kind === "board-swap") return
  const shown = recordedInstance(endorsement)
  if (shown !== undefined && identityOf(shown) === identityOf(recorded)) return
  throw new AssayError("AK_BINDING", `${before.id} is another instance than the certificates are of`, {
    location: "ak_certificate_chain",
    expected: identityOf(recorded),
    actual: shown === undefined ? "no instance" : identityOf(shown),
  })
}

/** By what never changes about a machine, and no other machine has. */
const identityOf = ({ provider, project, id }: CloudInstance): string => [provider, project, id].join(" ")
