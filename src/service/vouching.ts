/** What vouches for a device's keys when it comes to be known: by its operator's word, or by enrolling. */
import { hash } from "node:crypto"
import { toHex, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { Certificate } from "../evidence/x509/certificate.ts"
import { nameText } from "../evidence/x509/name.ts"
import {
  type Endorsements,
  type UntrustedEndorsements,
  verifyEndorsements,
} from "../verification/endorsements.ts"
import type { AttestationKey } from "../verification/key.ts"
import type { Verified } from "../verification/verified.ts"
import type { Ports, Who } from "./ports.ts"

/**
 * Verifies the certificates that a device shows, against its tenant's trust as it is now. Expiry of an endorsement key is
 * the policy's to judge, later. An issuer that nobody decided about is kept for review, and trusted for nothing.
 *
 * @returns What was proven, and the generation of the trust that it was proven under.
 * @throws {AssayError} as `verifyEndorsements`; TRUST, REGISTRY, SNAPSHOT_MOVED.
 */
export const verifyShown = async (
  ports: Pick<Ports, "trust" | "loadTrust" | "meter">,
  who: Who,
  shown: UntrustedEndorsements,
  ak: Verified<AttestationKey>,
  at: Date,
): Promise<{ readonly endorsements: Verified<Endorsements>; readonly generation: number }> => {
  const { tenant } = who
  const { generation } = await ports.trust.trustState(tenant)
  const trust = await ports.loadTrust(tenant, generation)
  const options = { at, expiredLeaf: "allow" } as const
  // The endorsement key by itself first: the issuer that is kept for review is nobody else's.
  await keepingIssuers(ports, tenant, shown.ekChain, at, () =>
    ports.meter.run(who, () => verifyEndorsements({ ...shown, akChain: [] }, ak, trust, options)),
  )
  const endorsements = ports.meter.run(who, () => verifyEndorsements(shown, ak, trust, options))
  return { endorsements, generation }
}

/** An endorsement key without a certificate is on the tenant's list. @throws {AssayError} UNTRUSTED_ROOT; REGISTRY. */
export const checkListed = async (
  { trust }: Pick<Ports, "trust">,
  tenant: string,
  digest: Uint8Array,
): Promise<void> => {
  if ((await trust.listedEk(tenant, digest)) !== undefined) return
  throw new AssayError("UNTRUSTED_ROOT", "the endorsement key has no certificate and is not on the list", {
    location: "ek_public",
    expected: "a key listed with `assay trust import-eks`",
    actual: `SHA-256 ${toHex(digest)}`,
  })
}

/** Runs `verify`; if it fails for lack of a trusted issuer of the endorsement key, the issuer is kept for review. */
const keepingIssuers = async (
  { trust }: Pick<Ports, "trust">,
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
