import { concat, isFilledWith } from "../bytes.ts"
import { Reader } from "../evidence/reader.ts"
import { EK_TEMPLATE_NAMES, EK_TEMPLATES, type EkTemplateName } from "../evidence/tpm/ek-template.ts"
import { type RunOptions, readOutput, requirePrograms, run, withFolder } from "./programs.ts"

/** Which TPM to read. */
export interface NvOptions {
  readonly tcti?: string | undefined
  /** For each program. By default 60 s. */
  readonly timeoutMs?: number
  /** Of which endorsement key. By default of the first in the order of the templates that has a certificate. */
  readonly ekTemplate?: EkTemplateName | undefined
}

const TIMEOUT_MS = 60_000
/** Indices that hold the chain of those certificates: DER, one after another, over as many indices as it takes (2.2.1.5.2). */
const CHAIN_FIRST = 0x01c00100
const CHAIN_LAST = 0x01c001ff
/** Makers have two CAs between the key and their root. */
const CHAIN_MAX = 8

/**
 * The certificates of the TPM's endorsement key: the key's own, as its NV index holds it, then those of the TPM's NV chain.
 * None if the TPM has none. Nothing of it is checked here; whom to trust is for Assay to say.
 *
 * @throws {AssayError} TPM if a program is missing or fails; FRAMING, LENGTH for an NV chain that is no list of DER.
 * @see TCG EK Credential Profile 2.5, 2.2.1.4 and 2.2.1.5.
 */
export async function readEkCertificateChain(options: NvOptions = {}): Promise<Uint8Array[]> {
  requirePrograms("agent")
  const { tcti, timeoutMs = TIMEOUT_MS, ekTemplate } = options
  return withFolder(async (folder) => {
    const at: RunOptions = { folder, timeoutMs, tcti }
    const indices = await readIndices(at)
    const template = ekTemplate ?? certifiedTemplate(indices)
    const own = template === undefined ? undefined : EK_TEMPLATES[template].certificateIndex
    if (own === undefined || !indices.includes(own)) return []
    const chain = indices.filter((index) => index >= CHAIN_FIRST && index <= CHAIN_LAST)
    const parts: Uint8Array[] = []
    for (const index of chain) parts.push(await readIndex(index, at))
    return [await readIndex(own, at), ...splitChain(concat(...parts))]
  })
}

/** The template of the endorsement key whose certificate `readEkCertificateChain` gives, if there is one. */
export const readCertifiedTemplate = async (at: RunOptions): Promise<EkTemplateName | undefined> =>
  certifiedTemplate(await readIndices(at))

const certifiedTemplate = (indices: readonly number[]): EkTemplateName | undefined =>
  EK_TEMPLATE_NAMES.find((name) => indices.includes(EK_TEMPLATES[name].certificateIndex))

const readIndices = async (at: RunOptions): Promise<number[]> =>
  handlesOf(await run("tpm2_getcap", ["handles-nv-index"], at))

/** Handles as tpm2_getcap prints them, in ascending order. */
export const handlesOf = (printed: string): number[] =>
  [...printed.matchAll(/^- (0x[0-9a-fA-F]{1,8})$/gm)]
    .map(([, handle = ""]) => Number(handle))
    .sort((a, b) => a - b)

const readIndex = async (index: number, at: RunOptions): Promise<Uint8Array> => {
  await run("tpm2_nvread", ["-C", "o", "-o", "nv", `0x${index.toString(16)}`], at)
  return readOutput("tpm2_nvread", "nv", at)
}

const SEQUENCE = 0x30
/** A length of two octets follows, as with every certificate. */
const LONG_LENGTH = 0x82

/** DER values one after another, and padding of one byte's value behind them. */
const splitChain = (bytes: Uint8Array): Uint8Array[] => {
  const list: Uint8Array[] = []
  let rest = bytes
  while (rest.length > 0 && !isFilledWith(rest, 0xff) && !isFilledWith(rest, 0x00)) {
    const r = new Reader(rest, "NV chain")
    if (r.u8("tag") !== SEQUENCE || r.u8("length") !== LONG_LENGTH || list.length === CHAIN_MAX)
      throw r.error("FRAMING", "certificate", "not a list of at most 8 certificates")
    const size = r.u16("length")
    r.take("certificate", size)
    list.push(rest.slice(0, r.offset))
    rest = rest.subarray(r.offset)
  }
  return list
}
