import { concat, fromHex, utf8 } from "../bytes.ts"
import { u16le, u32le, u64le, utf16 } from "./eventlog.ts"

/** What a boot measures: the event as the log tells it, and the bytes whose digest is extended. */
export interface BootEvent {
  readonly pcr: number
  readonly type: number
  /** What the record says. */
  readonly data: Uint8Array
  /** What the digest covers; the record's data unless it is only a hint. */
  readonly measured?: Uint8Array
}

/** Event types (TCG PC Client Platform Firmware Profile 1.05, 10.4.1). */
export const EV_SEPARATOR = 0x04
export const EV_S_CRTM_VERSION = 0x08
export const EV_IPL = 0x0d
export const EV_EFI_VARIABLE_DRIVER_CONFIG = 0x80000001
export const EV_EFI_VARIABLE_BOOT = 0x80000002
export const EV_EFI_BOOT_SERVICES_APPLICATION = 0x80000003
export const EV_EFI_ACTION = 0x80000007
export const EV_EFI_PLATFORM_FIRMWARE_BLOB = 0x80000008
export const EV_EFI_VARIABLE_AUTHORITY = 0x800000e0

/** What a machine boots. Each text stands for the contents of the component that it names. */
export interface BootComponents {
  /** S-CRTM version and firmware volume: PCR 0. */
  readonly firmware: string
  /** First program that the firmware starts: PCR 4. */
  readonly bootManager: string
  /** Program that the boot manager starts: PCR 4. */
  readonly bootLoader: string
  /** PCR 8. */
  readonly kernelCommandLine: string
  /** PCR 9. */
  readonly kernel: string
  /** PCR 9. */
  readonly initrd: string
  /** Whether the SecureBoot variable says on: PCR 7. */
  readonly secureBoot: boolean
}

const COMPONENTS: BootComponents = {
  firmware: "Assay reference firmware 1.0",
  bootManager: "shim 15.8",
  bootLoader: "boot loader 2.12",
  kernelCommandLine: "root=/dev/vda2 ro quiet lockdown=integrity",
  kernel: "kernel 6.12.1",
  initrd: "initrd 6.12.1",
  secureBoot: true,
}

/** The events of a UEFI machine's boot with Secure Boot on, with the components that `changed` names changed. */
export function standardBoot(changed: Partial<BootComponents> = {}): readonly BootEvent[] {
  const machine = { ...COMPONENTS, ...changed }
  return [
    { pcr: 0, type: EV_S_CRTM_VERSION, data: utf16(`${machine.firmware}\0`) },
    {
      pcr: 0,
      type: EV_EFI_PLATFORM_FIRMWARE_BLOB,
      data: concat(u64le(0x820000), u64le(0xe0000)), // where it lies and how long it is
      measured: utf8(machine.firmware),
    },
    ...secureBootVariables(machine.secureBoot),
    {
      pcr: 1,
      type: EV_EFI_VARIABLE_BOOT,
      data: variable(GLOBAL_VARIABLE, "BootOrder", concat(u16le(1), u16le(0))),
    },
    action(4, "Calling EFI Application from Boot Option"),
    ...[0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => ({ pcr, type: EV_SEPARATOR, data: u32le(0) })),
    {
      pcr: 7,
      type: EV_EFI_VARIABLE_AUTHORITY,
      data: variable(IMAGE_SECURITY_DATABASE, "db", signatureData("vendor")),
    },
    application("\\EFI\\assay\\shimx64.efi", machine.bootManager),
    application("\\EFI\\assay\\loaderx64.efi", machine.bootLoader),
    ipl(8, `kernel_cmdline: ${machine.kernelCommandLine}`, machine.kernelCommandLine),
    ipl(9, "/vmlinuz", machine.kernel),
    ipl(9, "/initrd.img", machine.initrd),
    action(5, "Exit Boot Services Invocation"),
    action(5, "Exit Boot Services Returned with Success"),
  ]
}

/** A GUID in its mixed-endian binary form. */
const guid = (text: string): Uint8Array => {
  const bytes = fromHex(text.replaceAll("-", "")) ?? new Uint8Array()
  const part = (start: number, end: number): Uint8Array => bytes.slice(start, end)
  return concat(part(0, 4).reverse(), part(4, 6).reverse(), part(6, 8).reverse(), part(8, 16))
}

const GLOBAL_VARIABLE = guid("8be4df61-93ca-11d2-aa0d-00e098032b8c")
const IMAGE_SECURITY_DATABASE = guid("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
const CERT_SHA256 = guid("c1c41626-504c-4092-aca9-41f936934328")
const CERT_RSA2048 = guid("3c5766e8-269c-4e34-aa14-ed776e85b3b6")
const OWNER = guid("6d1c1f4e-55a8-4a34-9a3e-0c5d0c6f2f11")

/** UEFI_VARIABLE_DATA (10.4.2.2). */
const variable = (vendor: Uint8Array, name: string, value: Uint8Array): Uint8Array =>
  concat(vendor, u64le(name.length), u64le(value.length), utf16(name), value)

/** EFI_SIGNATURE_DATA of 48 bytes: its owner and what stands for a SHA-256 digest of `name`. */
const signatureData = (name: string): Uint8Array => concat(OWNER, utf8(name.padEnd(32, ".").slice(0, 32)))

/** EFI_SIGNATURE_LIST with one entry (UEFI 2.10, 32.4.1). */
const signatureList = (type: Uint8Array, signature: Uint8Array): Uint8Array =>
  concat(type, u32le(28 + signature.length), u32le(0), u32le(signature.length), signature)

const secureBootVariables = (on: boolean): readonly BootEvent[] => {
  const key = signatureList(CERT_RSA2048, concat(OWNER, new Uint8Array(256).fill(0xa5)))
  const variables: readonly [vendor: Uint8Array, name: string, value: Uint8Array][] = [
    [GLOBAL_VARIABLE, "SecureBoot", Uint8Array.of(on ? 1 : 0)],
    [GLOBAL_VARIABLE, "PK", key],
    [GLOBAL_VARIABLE, "KEK", key],
    [IMAGE_SECURITY_DATABASE, "db", signatureList(CERT_SHA256, signatureData("vendor"))],
    [IMAGE_SECURITY_DATABASE, "dbx", signatureList(CERT_SHA256, signatureData("forbidden"))],
  ]
  return variables.map(([vendor, name, value]) => ({
    pcr: 7,
    type: EV_EFI_VARIABLE_DRIVER_CONFIG,
    data: variable(vendor, name, value),
  }))
}

const action = (pcr: number, text: string): BootEvent => ({ pcr, type: EV_EFI_ACTION, data: utf8(text) })

const ipl = (pcr: number, label: string, contents: string): BootEvent => ({
  pcr,
  type: EV_IPL,
  data: utf8(`${label}\0`),
  measured: utf8(contents),
})

/** UEFI_IMAGE_LOAD_EVENT (10.4.2.3) with the file's device path: a hint, for the digest covers the image alone. */
const application = (path: string, image: string): BootEvent => {
  const name = utf16(`${path}\0`)
  const filePath = concat(Uint8Array.of(4, 4), u16le(4 + name.length), name)
  const devicePath = concat(filePath, Uint8Array.of(0x7f, 0xff), u16le(4))
  return {
    pcr: 4,
    type: EV_EFI_BOOT_SERVICES_APPLICATION,
    data: concat(u64le(0x7e000000), u64le(0x100000), u64le(0), u64le(devicePath.length), devicePath),
    measured: utf8(image),
  }
}
