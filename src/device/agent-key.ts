import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { create } from "@bufbuild/protobuf"
import { AssayError } from "../errors.ts"
import type { HashName } from "../evidence/tpm/algorithm.ts"
import { hasAttribute, parsePublic } from "../evidence/tpm/public.ts"
import type { SchemeName } from "../evidence/tpm/signature.ts"
import { KeyCertificationSchema } from "../gen/assay/v1/attestation_pb.ts"
import type { CertifiedKey } from "./attester.ts"
import { certificationRequest, requestInfo } from "./csr.ts"
import { flushing, type RunOptions, readOutput, run } from "./programs.ts"

/** Where the key for TLS is kept: among the persistent handles that are the owner's, 81000000 to 817FFFFF (Part 3, 28.5). */
export const TLS_KEY_HANDLE = 0x81008200

const ATTRIBUTES = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"

/** The attestation key, as what it signs by. */
export interface Certifier {
  readonly handle: string
  readonly scheme: SchemeName
  readonly hash: HashName
}

/**
 * Makes a signing key for TLS, P-256, and keeps it at a handle: a child of a primary key of the owner, so that its private
 * part is of this one making, and is gone when the owner clears the TPM. Its use needs no password, only access to the TPM.
 *
 * @throws {AssayError} TPM.
 */
export async function makeTlsKey(handle: string, at: RunOptions): Promise<void> {
  const kind = ["-G", "ecc256:ecdsa-sha256", "-g", "sha256", "-a", ATTRIBUTES]
  for (const [program, ...parameters] of [
    ["tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", "parent.ctx"],
    ["tpm2_create", "-C", "parent.ctx", ...kind, "-c", "key.ctx"],
    ["tpm2_evictcontrol", "-C", "o", "-c", "key.ctx", handle],
  ] as const)
    await flushing(at, () => run(program, ["-Q", ...parameters], at))
}

/**
 * The key at a handle, certified by the attestation key, with its request for a certificate, which the TPM signs: nobody
 * else could.
 *
 * @throws {AssayError} TPM if a program fails, or if the handle holds another kind of key.
 */
export async function certifyTlsKey(handle: string, ak: Certifier, at: RunOptions): Promise<CertifiedKey> {
  await run("tpm2_readpublic", ["-Q", "-c", handle, "-f", "tss", "-o", "key.pub"], at)
  const keyPublic = await readOutput("tpm2_readpublic", "key.pub", at)
  const area = parsePublic(keyPublic)
  if (area.key.kind !== "ecc" || area.key.curve !== "P-256" || !hasAttribute(area, "sign"))
    throw new AssayError("TPM", `the key at ${handle} is none that was made for TLS: choose another handle`)
  await run("tpm2_readpublic", ["-Q", "-c", handle, "-f", "der", "-o", "key.der"], at)
  const info = requestInfo(await readOutput("tpm2_readpublic", "key.der", at))
  await writeFile(join(at.folder, "request"), info)
  const by = ["-g", "sha256", "-s", "ecdsa", "-f", "plain"]
  await run("tpm2_sign", ["-Q", "-c", handle, ...by, "-o", "request.sig", "request"], at)
  const what = ["-c", handle, "-C", ak.handle, "-g", ak.hash, "--scheme", ak.scheme]
  await run("tpm2_certify", ["-Q", ...what, "-o", "certified", "-s", "certified.sig"], at)
  const csr = certificationRequest(info, "ecdsa-sha256", await readOutput("tpm2_sign", "request.sig", at))
  const attest = await readOutput("tpm2_certify", "certified", at)
  const signature = await readOutput("tpm2_certify", "certified.sig", at)
  const certification = create(KeyCertificationSchema, { csr, keyPublic, attest, signature })
  return { name: area.name, certification }
}
