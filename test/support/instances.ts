/** Certificates that name the machine of a cloud, made byte by byte. */
import { utf8 } from "../../src/bytes.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import { akChainOf } from "./endorsed.ts"
import { AK_EXTENSIONS, boolean, extension, integer, seq, tlv, withExtensions } from "./x509.ts"

/** What the extension of a virtual TPM's certificate says. */
export interface InstanceParts {
  readonly zone?: string
  readonly projectNumber?: number
  readonly project?: string
  readonly id?: number | bigint
  readonly name?: string
  /** Whether it is of production; nothing for no security properties. */
  readonly production?: boolean | undefined
}

export const text = (value: string): Uint8Array => tlv(0x0c, utf8(value))

/** GceInstanceInformation of vm-12, but for the changes. */
export const instanceValue = (parts: InstanceParts = {}): Uint8Array => {
  const {
    zone = "europe-west3-a",
    projectNumber = 117,
    project = "presses",
    id = 8001n,
    name = "vm-12",
  } = parts
  const { production } = { production: true, ...parts }
  const properties = [tlv(0xa0, integer(0)), tlv(0xa1, boolean(production === true)), tlv(0xa2, integer(0))]
  return seq(
    ...[text(zone), integer(projectNumber), text(project), integer(id), text(name)],
    ...(production === undefined ? [] : [tlv(0xa0, seq(...properties))]),
  )
}

/** The extension. */
export const instanceExtension = (parts: InstanceParts = {}): Uint8Array =>
  extension("1.3.6.1.4.1.11129.2.1.21", instanceValue(parts))

/** The chain of a virtual TPM's attestation key below TEST_ANCHOR: the leaf and its issuer. */
export const instanceChainOf = (
  device: Pick<SoftwareDevice, "akPublic">,
  parts: InstanceParts = {},
): Uint8Array[] =>
  akChainOf(device, { leaf: { extensions: withExtensions(AK_EXTENSIONS, instanceExtension(parts)) } })
