import type { AssayError } from "../../errors.ts"
import { type Deviation, derError } from "./der.ts"
import { type Name, nameText, valuesOf } from "./name.ts"

const ORGANIZATION = "2.5.4.10"

/**
 * Who may depart from DER, and how: by the organization of the issuer, which a path proves. What is not listed here is
 * refused, and what is used is told with the result.
 *
 * Nuvoton orders names of several attributes, and STMicroelectronics the TPM's attributes in the alternative name, by
 * their own sense; Infineon leaves zeros behind keyUsage; one of Intel's roots has a NULL where ECDSA has no
 * parameters.
 */
export const TOLERATED_OF: Readonly<Partial<Record<Deviation, readonly string[]>>> = {
  "set-order": ["Nuvoton Technology Corporation", "STMicroelectronics NV"],
  "named-bits": ["Infineon Technologies AG"],
  "null-parameters": ["Intel Corporation"],
}

/**
 * Refuses deviations that the certificate's issuer is not known for.
 *
 * @throws {AssayError} DER.
 */
export function checkDeviations(deviations: ReadonlySet<Deviation>, issuer: Name, structure: string): void {
  for (const deviation of deviations) {
    const issuers = TOLERATED_OF[deviation]
    if (issuers === undefined || valuesOf(issuer, ORGANIZATION).some((name) => issuers.includes(name)))
      continue
    throw notTolerated(deviation, issuer, structure)
  }
}

const MESSAGES: Readonly<Partial<Record<Deviation, string>>> = {
  "set-order": "the elements of a SET are not in order",
  "named-bits": "named bits that are not in their shortest form",
  "null-parameters": "parameters where the algorithm has none",
}

const notTolerated = (deviation: Deviation, issuer: Name, structure: string): AssayError =>
  derError("DER", structure, 0, `${MESSAGES[deviation]}, which is not tolerated of ${nameText(issuer)}`)
