/** What requests cost beyond what each does, as far as who sends them decides it. */
import type { Evidence } from "../evidence/evidence.ts"
import { checksBy } from "../verification/budget.ts"
import type { EndorsementKey } from "../verification/ek.ts"
import type { AttestationKey } from "../verification/key.ts"
import type { Caller, Ports } from "./ports.ts"

type Who = Pick<Caller, "tenant" | "id">

/** Charges for the signatures of a quote and of what was certified beside it. One by a cheap kind of key each request costs. */
export const chargeQuote = (
  { charge }: Pick<Ports, "charge">,
  who: Who,
  ak: AttestationKey,
  { certification }: Pick<Evidence, "certification">,
): void => {
  const checks = checksBy(ak.area.key) * (certification === undefined ? 1 : 2)
  if (checks > 1) charge(who, checks - 1)
}

/** Charges for a credential, which costs about what a signature check by its key does. */
export const chargeCredential = ({ charge }: Pick<Ports, "charge">, who: Who, ek: EndorsementKey): void =>
  charge(who, checksBy(ek.area.key))
