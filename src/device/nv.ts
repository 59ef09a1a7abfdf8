import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { concat, isFilledWith } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { Reader } from "../evidence/reader.ts"
import { type RunOptions, requirePrograms, run } from "./programs.ts"

/** Which TPM to read. */
export interface NvOptions {
  readonly tcti?: string
  /** For each program. By default 60 s. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 60_000
/**
 * NV indices of EK certificates, in the order of preference: RSA-2048 and P-256 by the low-range templates, then the high
 * range: RSA-2048, P-256, P-384, P-521, RSA-3072, RSA-4096 (TCG EK Credential Profile 2.5, 2.2.1.4 and 2.2.1.5).
 */
const EK_CERTIFICATES = [
  0x01c00002, 0x01c0000a, 0x01c00012, 0x01c00014, 0x01c00016, 0x01c00018, 0x01c0001c, 0x01c0001e,
]
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
 */
export async function readEkCertificateChain(options: NvOptions = {}): Promise<Uint8Array[]> {
  requirePrograms("agent")
  const folder = await mkdtemp(join(tmpdir(), "assay-agent-"))
  const at: RunOptions = { folder, timeoutMs: options.timeoutMs ?? TIMEOUT_MS, tcti: options.tcti }
  try {
    const indices = indicesOf(await run("tpm2_getcap", ["handles-nv-index"], at))
    const own = EK_CERTIFICATES.find((index) => indices.includes(index))
    if (own === undefined) return []
    const chain = indices.filter((index) => index >= CHAIN_FIRST && index <= CHAIN_LAST)
    const parts: Uint8Array[] = []
    for (const index of chain) parts.push(await readIndex(index, at))
    return [await readIndex(own, at), ...splitChain(concat(...parts))]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Handles as tpm2_getcap prints them, in ascending order. */
const indicesOf = (printed: string): number[] =>
  [...printed.matchAll(/^- (0x[0-9a-fA-F]{1,8})$/gm)]
    .map(([, handle = ""]) => Number(handle))
    .sort((a, b) => a - b)

const readIndex = async (index: number, at: RunOptions): Promise<Uint8Array> => {
  await run("tpm2_nvread", ["-C", "o", "-o", "nv", `0x${index.toString(16)}`], at)
  try {
    return new Uint8Array(await readFile(join(at.folder, "nv")))
  } catch (cause) {
    throw new AssayError("TPM", "tpm2_nvread left no file", { location: "tpm2_nvread", cause })
  }
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
