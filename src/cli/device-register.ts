import { type Command, Option } from "commander"
import { toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { type PublicArea, parsePublic, qualifiedNameOf } from "../evidence/tpm/public.ts"
import { type AdminOptions, present, withAdmin, withAdminOption } from "./admin.ts"
import { readChain } from "./certificates.ts"
import type { CommandContext } from "./command.ts"
import { deviceJson, deviceReport } from "./device-view.ts"
import { readInput } from "./input.ts"
import type { Report } from "./output.ts"
import type { CliIo } from "./parts.ts"

const HELP = `
Examples:
  assay device register --ak ak.pub --id gate-7 --hierarchy endorsement --policy fleet
  assay device register --ak ak.pub --qualified-name ak.qname --ek-chain ek.der intermediates.pem
  assay device register --ak ak.pub --ak-chain ak.der

Devices enroll by themselves (assay agent enroll), and prove more by it. Certificates have to lead to a trust anchor (assay
trust import). One of the attestation key binds it to its TPM; without it a device is vouched for by its operator alone, and
every appraisal says AK_BINDING_UNPROVEN. An issuer that nobody decided about is kept for review (assay trust pending).
--hierarchy says that the key is a primary key there; --qualified-name is what tpm2_readpublic -q writes. With either,
each quote has to come from a key in that very place.`

/** TPM_RH_* of the hierarchies that have lasting keys (TPM 2.0 Library, Part 2, 7.4). */
const HIERARCHIES: ReadonlyMap<string, Uint8Array> = new Map([
  ["endorsement", Uint8Array.of(0x40, 0, 0, 0x0b)],
  ["owner", Uint8Array.of(0x40, 0, 0, 0x01)],
  ["platform", Uint8Array.of(0x40, 0, 0, 0x0c)],
])

interface RegisterOptions extends AdminOptions {
  readonly ak: string
  readonly id?: string
  readonly hierarchy?: string
  readonly qualifiedName?: string
  readonly policy?: string
  readonly ekChain?: string[]
  readonly akChain?: string[]
  readonly ek?: string
}

/** `assay device register`. */
export const addDeviceRegister = (device: Command, context: CommandContext): void => {
  withAdminOption(device.command("register"))
    .description("Register a device by its attestation key, on your word alone.")
    .requiredOption("--ak <FILE>", "TPMT_PUBLIC or TPM2B_PUBLIC of the attestation key")
    .option("--id <ID>", "the device's id (default: the first 16 digits of the key's Name)")
    .addOption(
      new Option("--hierarchy <NAME>", "where the key is a primary key")
        .choices([...HIERARCHIES.keys()])
        .conflicts("qualifiedName"),
    )
    .option("--qualified-name <FILE>", "the key's qualified name")
    .option("--policy <NAME>", "a policy to assign to the device")
    .option("--ek-chain <FILE...>", "certificates of the endorsement key, its own first")
    .option("--ak-chain <FILE...>", "certificates of the attestation key, its own first")
    .option(
      "--ek <FILE>",
      "TPMT_PUBLIC or TPM2B_PUBLIC of an endorsement key without certificate, on the list",
    )
    .addHelpText("after", HELP)
    .action(context.reporting((options: RegisterOptions) => register(options, context)))
}

const register = async (options: RegisterOptions, context: CommandContext): Promise<Report> => {
  const area = parsePublic(await readInput(options.ak, context.io))
  const qualifiedName = await qualifiedNameFor(area, options, context.io)
  const { policy, id = defaultId(area) } = options
  return withAdmin(context, options, async (admin) => {
    // Asked for first, so that a name that is not there leaves no half-registered device behind.
    if (policy !== undefined) await admin.getPolicy(policy)
    const { device } = await admin.registerDevice({
      id,
      akPublic: area.bytes,
      qualifiedName,
      ekCertificateChain: await readChain(options.ekChain, context.io),
      akCertificateChain: await readChain(options.akChain, context.io),
      ekPublic: options.ek === undefined ? new Uint8Array() : await readInput(options.ek, context.io),
    })
    if (policy === undefined) return deviceReport(deviceJson(present(device)))
    await admin.assignPolicy({ policy, device: id })
    return deviceReport(deviceJson(present((await admin.getDevice(id)).device)))
  })
}

const ID_BYTES = 8

/** The Name begins with two bytes that say its hash. */
const defaultId = ({ name }: PublicArea): string => toHex(name.subarray(2, 2 + ID_BYTES))

/** Empty if the key's place is not known. */
const qualifiedNameFor = async (
  { name, nameAlg }: PublicArea,
  { hierarchy, qualifiedName }: RegisterOptions,
  io: CliIo,
): Promise<Uint8Array> => {
  if (qualifiedName !== undefined) return readQualifiedName(qualifiedName, io)
  const handle = HIERARCHIES.get(hierarchy ?? "")
  return handle === undefined ? new Uint8Array() : qualifiedNameOf(handle, name, nameAlg)
}

/** An empty file would pass for no qualified name at all. */
const readQualifiedName = async (file: string, io: CliIo): Promise<Uint8Array> => {
  const bytes = await readInput(file, io)
  if (bytes.length > 0) return bytes
  throw new AssayError("INPUT", `${file} is empty`, {
    location: "--qualified-name",
    expected: "a qualified name",
  })
}
