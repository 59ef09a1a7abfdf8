import { AssayError } from "../errors.ts"
import { type Certificate, certificateText } from "../evidence/x509/certificate.ts"
import { valuesOf } from "../evidence/x509/name.ts"
import type { TpmSecurityAssertions, TpmSpecification } from "../evidence/x509/tpm-attributes.ts"
import { vendorOf } from "./advisory.ts"

/** What a certificate of a TPM's key says of the TPM. */
export interface TpmIdentity {
  /** As written, `id:49465800`: the four ASCII letters of the TCG vendor registry in hexadecimal. */
  readonly manufacturer: string
  /** The registry's name, as `IFX`, if the manufacturer is one of it. */
  readonly vendor: string | undefined
  readonly model: string
  /** Firmware version as written, `id:` and hexadecimal digits. */
  readonly version: string
  readonly specification: TpmSpecification | undefined
  readonly securityAssertions: TpmSecurityAssertions | undefined
}

const MANUFACTURER = "2.23.133.2.1"
const MODEL = "2.23.133.2.2"
const VERSION = "2.23.133.2.3"

/**
 * Manufacturer, model and version out of the directory names of the alternative name, critical or not, each once.
 *
 * @throws {AssayError} NAME if one is missing, occurs twice, or is not written as the profile says.
 * @see TCG EK Credential Profile 2.5, 3.1.2.
 */
export function tpmIdentityOf(certificate: Certificate): TpmIdentity {
  const names = (certificate.extensions.subjectAltName ?? []).flatMap((name) =>
    name.kind === "directory" ? [name.name] : [],
  )
  const one = (type: string, what: string, form: RegExp): string => {
    const values = names.flatMap((name) => valuesOf(name, type))
    const [value] = values
    if (value !== undefined && values.length === 1 && form.test(value)) return value
    throw new AssayError("NAME", `the alternative name does not say the TPM's ${what}`, {
      location: certificateText(certificate),
      expected: `one attribute ${type}`,
      actual: values.length === 0 ? "none" : values.join(", "),
    })
  }
  const manufacturer = one(MANUFACTURER, "manufacturer", /^id:[0-9A-Fa-f]{8}$/)
  return {
    manufacturer,
    vendor: vendorOf(manufacturer),
    model: one(MODEL, "model", /^.{1,255}$/su),
    version: one(VERSION, "version", /^id:[0-9A-Fa-f]{1,16}$/),
    specification: certificate.extensions.tpm?.specification,
    securityAssertions: certificate.extensions.tpm?.securityAssertions,
  }
}
