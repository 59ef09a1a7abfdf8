import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { concat, sameBytes } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { EK_TEMPLATES, type EkTemplate, type EkTemplateName, ekAreaOf } from "../evidence/tpm/ek-template.ts"
import { u32 } from "../evidence/tpm/encode.ts"
import { parseSizedPublic } from "../evidence/tpm/public.ts"
import { handlesOf, readCertifiedTemplate } from "./nv.ts"
import { flushing, type RunOptions, readOutput, run } from "./programs.ts"

/** Persistent handles that the TCG keeps for keys of the endorsement hierarchy (handle registry, table 2). */
const EK_HANDLE_FIRST = 0x81010000
const EK_HANDLE_LAST = 0x8101ffff

/** What the TPM has of its endorsement key. */
export interface AgentEk {
  readonly template: EkTemplateName
  /** TPM2B_PUBLIC. */
  readonly ekPublic: Uint8Array
}

/**
 * Finds the TPM's endorsement key: by the template asked for, else by the one that a certificate is there for, else that
 * of RSA-2048, which every TPM for PCs has. A key that is not at a persistent handle is made anew by its template and not
 * kept: the TPM makes the same one each time.
 *
 * @throws {AssayError} TPM if a program fails, and for a key that is not the template's.
 */
export async function readEk(wanted: EkTemplateName | undefined, at: RunOptions): Promise<AgentEk> {
  const template = wanted ?? (await readCertifiedTemplate(at)) ?? "L-1"
  return withEk(template, at, async (_, ekPublic) => ({ template, ekPublic }))
}

/**
 * TPM2_ActivateCredential with the endorsement key of the template: the secret of the credential.
 *
 * @param ak The attestation key's handle.
 * @throws {AssayError} TPM if the credential was not made for both keys, or a program fails.
 */
export const activateWith = (
  template: EkTemplateName,
  ak: string,
  credential: { readonly blob: Uint8Array; readonly encryptedSecret: Uint8Array },
  at: RunOptions,
): Promise<Uint8Array> =>
  withEk(template, at, async (ek) => {
    await writeFile(
      join(at.folder, "credential"),
      concat(TOOL_HEADER, credential.blob, credential.encryptedSecret),
    )
    const activate = async (...authorization: readonly string[]): Promise<Uint8Array> => {
      const files = ["-i", "credential", "-o", "secret"]
      await run("tpm2_activatecredential", ["-Q", "-c", ak, "-C", ek, ...files, ...authorization], at)
      return readOutput("tpm2_activatecredential", "secret", at)
    }
    // Keys of the high range have userWithAuth, and an empty password; the others have nothing but their policy.
    return isHighRange(template) ? activate() : withEndorsementPolicy(at, activate)
  })

/** What tpm2-tools put before the two structures: a magic number, and the version of their format. */
const TOOL_HEADER = concat(u32(0xbadcc0de), u32(1))

const isHighRange = (template: EkTemplateName): boolean => template.startsWith("H")

/** Runs `act` with a session in which the endorsement hierarchy has agreed: policy A. */
const withEndorsementPolicy = async <T>(
  at: RunOptions,
  act: (...authorization: readonly string[]) => Promise<T>,
): Promise<T> => {
  await run("tpm2_startauthsession", ["-Q", "--policy-session", "-S", "session"], at)
  try {
    await run("tpm2_policysecret", ["-Q", "-S", "session", "-c", "e"], at)
    return await act("-P", "session:session")
  } finally {
    await run("tpm2_flushcontext", ["-Q", "session"], at)
  }
}

/** Runs `act` with the key of the template: its persistent handle, or a copy that is gone afterwards. */
const withEk = async <T>(
  template: EkTemplateName,
  at: RunOptions,
  act: (ek: string, ekPublic: Uint8Array) => Promise<T>,
): Promise<T> => {
  const handles = handlesOf(await run("tpm2_getcap", ["handles-persistent"], at))
  for (const handle of handles.filter((one) => one >= EK_HANDLE_FIRST && one <= EK_HANDLE_LAST)) {
    const ek = `0x${handle.toString(16)}`
    const ekPublic = await readPublic(ek, at)
    if (isOf(template, ekPublic)) return act(ek, ekPublic)
  }
  await flushing(at, () => createEk(template, at))
  const ekPublic = await flushing(at, () => readPublic("ek.ctx", at))
  if (!isOf(template, ekPublic))
    throw new AssayError("TPM", `the TPM made a key that is not one of the template ${template}`)
  return flushing(at, () => act("ek.ctx", ekPublic))
}

const readPublic = async (key: string, at: RunOptions): Promise<Uint8Array> => {
  await run("tpm2_readpublic", ["-Q", "-c", key, "-f", "tss", "-o", "ek.pub"], at)
  return readOutput("tpm2_readpublic", "ek.pub", at)
}

/** Whether a key, of whatever kind, is the endorsement key of the template. */
const isOf = (template: EkTemplateName, ekPublic: Uint8Array): boolean => {
  try {
    const { bytes, key } = parseSizedPublic(ekPublic)
    return sameBytes(bytes, ekAreaOf(template, key).bytes)
  } catch (error) {
    // A key of a kind that Assay does not know is none of a template.
    if (error instanceof AssayError) return false
    throw error
  }
}

const ATTRIBUTES = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|adminwithpolicy|restricted|decrypt"
const CURVES = { "P-256": "ecc256", "P-384": "ecc384", "P-521": "ecc521" } as const

/** Makes the key as `ek.ctx`. The templates of the low range are those that tpm2_createek has built in. */
const createEk = async (template: EkTemplateName, at: RunOptions): Promise<void> => {
  const { key, nameAlg, aesBits, authPolicy }: EkTemplate = EK_TEMPLATES[template]
  if (!isHighRange(template)) {
    await run("tpm2_createek", ["-Q", "-G", key.kind, "-c", "ek.ctx"], at)
    return
  }
  await writeFile(join(at.folder, "policy"), authPolicy)
  const kind = key.kind === "rsa" ? `rsa${key.keyBits}` : CURVES[key.curve]
  const wanted = ["-G", `${kind}:aes${aesBits}cfb`, "-g", nameAlg, "-a", ATTRIBUTES, "-L", "policy"]
  await run("tpm2_createprimary", ["-Q", "-C", "e", ...wanted, "-c", "ek.ctx"], at)
}
