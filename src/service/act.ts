import type { Act, Caller, Clock } from "./ports.ts"

/**
 * What the record of an administrative act will say of it.
 *
 * @param evidenceDigest SHA-256 of what was asked for, 32 bytes.
 */
export const actOf = (
  { clock }: { readonly clock: Clock },
  { id: caller }: Caller,
  act: Act["act"],
  evidenceDigest: Uint8Array,
): Act => ({ at: clock.now(), caller, act, evidenceDigest })
