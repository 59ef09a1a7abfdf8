import { fromHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { fingerprintOf, parseCertificate } from "../evidence/x509/certificate.ts"
import { nameText } from "../evidence/x509/name.ts"
import { isSelfIssued } from "../verification/certificate-policies.ts"
import { actOf } from "./act.ts"
import { readItems } from "./certificate-file.ts"
import { digestOfImport } from "./import-trust.ts"
import type { AnchorRecord, Caller, Ports, TrustImport } from "./ports.ts"

/** What trust in software TPMs is given and taken away with. */
export type DevelopmentPorts = Pick<Ports, "clock" | "trust">

/** The name of every maker of software TPMs, in its own certificate. */
export const SOFTWARE_MAKER_NAME = "CN=Assay software TPM maker"

/** Who acts where nobody asked for it. */
const system = (tenant: string): Caller => ({ tenant, id: "system" })

/**
 * Makes the maker of software TPMs a trust anchor, for development mode: so that a fresh server can be tried at once.
 *
 * @param pem The maker's PEM, its certificate in it.
 * @throws {AssayError} INPUT, REGISTRY, JOURNAL.
 */
export async function trustSoftwareMaker(
  ports: DevelopmentPorts,
  tenant: string,
  pem: Uint8Array,
): Promise<void> {
  const { der, id } = makerIn(pem)
  const anchor = {
    id,
    certificate: der,
    label: "software TPM maker",
    purpose: "any",
    revocation: "off",
    provenance: "made by development mode; never trusted outside of it",
  } as const
  const parts: TrustImport = { anchors: [anchor], intermediates: [], crls: [], eks: [] }
  const act = actOf(ports, system(tenant), "import-trust", await digestOfImport(parts, async () => {}))
  await ports.trust.importTrust(tenant, parts, act)
}

/**
 * Takes away what only development mode may trust: every anchor that names itself a maker of software TPMs, and the one
 * whose PEM is at hand, whatever label and provenance it has by now. A server outside of development mode does so at
 * start, whatever its database was used for before.
 *
 * @param pem The maker's PEM, if there is one.
 * @returns How many anchors were removed.
 * @throws {AssayError} INPUT, REGISTRY, JOURNAL.
 */
export async function distrustSoftwareMakers(
  ports: DevelopmentPorts,
  tenant: string,
  pem: Uint8Array | undefined,
): Promise<number> {
  const known = pem === undefined ? undefined : makerIn(pem).id
  const { anchors } = await ports.trust.trust(tenant)
  const makers = anchors.filter((anchor) => anchor.id === known || isNamedMaker(anchor))
  for (const { id } of makers) {
    const act = actOf(ports, system(tenant), "remove-trust", fromHex(id) ?? new Uint8Array())
    await ports.trust.removeTrust(tenant, id, act)
  }
  return makers.length
}

const makerIn = (pem: Uint8Array): { readonly der: Uint8Array; readonly id: string } => {
  const [item] = readItems(pem, "software TPM maker", "certificate")
  if (item === undefined) throw new AssayError("INPUT", "the software TPM maker has no certificate")
  return { der: item.der, id: fingerprintOf(parseCertificate(item.der)) }
}

const isNamedMaker = ({ certificate: der }: AnchorRecord): boolean => {
  try {
    const certificate = parseCertificate(der)
    return isSelfIssued(certificate) && nameText(certificate.subject) === SOFTWARE_MAKER_NAME
  } catch (error) {
    // Nothing is verified by trust with such an anchor in it, and its operator has to get at it.
    if (error instanceof AssayError) return false
    throw error
  }
}
