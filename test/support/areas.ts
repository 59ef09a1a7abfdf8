/** Public areas with fields changed, as no TPM makes them or as some make them that they should not. */
import { encodePublic, type PublicFields, sized } from "../../src/device/encode.ts"
import {
  ATTRIBUTES,
  type AttributeName,
  type PublicArea,
  parsePublic,
} from "../../src/evidence/tpm/public.ts"

const schemeOf = ({ scheme }: PublicArea): PublicFields["scheme"] =>
  scheme.kind === "null" || scheme.kind === "unsupported" ? undefined : scheme

/** TPM2B_PUBLIC of a key with some fields changed. */
export const areaWith = (publicArea: Uint8Array, changes: Partial<PublicFields>): Uint8Array => {
  const area = parsePublic(publicArea)
  return sized(encodePublic({ ...area, scheme: schemeOf(area), ...changes }))
}

const bit = (name: AttributeName): number => 1 << ATTRIBUTES[name]

/** What an attestation key must not be, one attribute at a time, and how its attributes are made so. */
export const WRONG_ATTRIBUTES: readonly (readonly [name: string, change: (attributes: number) => number])[] =
  [
    ["that is not restricted", (all) => all & ~bit("restricted")],
    ["without fixedTPM", (all) => all & ~bit("fixedTPM")],
    ["without fixedParent", (all) => all & ~bit("fixedParent")],
    ["without sensitiveDataOrigin", (all) => all & ~bit("sensitiveDataOrigin")],
    ["that does not sign", (all) => all & ~bit("sign")],
    ["that decrypts as well", (all) => all | bit("decrypt")],
    ["that may be duplicated", (all) => all | bit("encryptedDuplication")],
    ["of a storage key", (all) => (all & ~bit("sign")) | bit("decrypt")],
    ["with no attribute at all", () => 0],
  ]

/** TPM2B_PUBLIC of a key with its attributes changed. */
export const withAttributes = (publicArea: Uint8Array, change: (attributes: number) => number): Uint8Array =>
  areaWith(publicArea, { attributes: change(parsePublic(publicArea).attributes) })
