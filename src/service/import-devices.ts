import { hash } from "node:crypto"
import { lengthPrefixed, sameBytes, toHex, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { parseChain } from "../evidence/evidence.ts"
import { parseName, parsePublic } from "../evidence/tpm/public.ts"
import type { Certificate } from "../evidence/x509/certificate.ts"
import { plainSpkiOf } from "../verification/certificate-key.ts"
import { checkSameKey } from "../verification/endorsements.ts"
import { createAttestationKey } from "../verification/key.ts"
import { checkNotDenied } from "../verification/weak-key.ts"
import { actOf } from "./act.ts"
import type { Caller, Counters, DeviceState, ImportedDevice, KeyBinding, Ports } from "./ports.ts"

/** A device as an export tells of it. */
export interface ImportDeviceInput {
  readonly id: string
  /** TPMT_PUBLIC or TPM2B_PUBLIC. */
  readonly akPublic: Uint8Array
  readonly qualifiedName: Uint8Array | undefined
  /** SHA-256 of the endorsement key's SubjectPublicKeyInfo, if it is known. */
  readonly ek: Uint8Array | undefined
  readonly ekCertificateChain: readonly Uint8Array[]
  readonly akCertificateChain: readonly Uint8Array[]
  readonly binding: KeyBinding
  readonly state: DeviceState
  readonly group: string
  readonly labels: ReadonlyMap<string, string>
  readonly claimedName: string
  readonly policy: string | undefined
  readonly createdAt: Date
  readonly counters: Counters | undefined
}

/** What became of an import. */
export interface ImportedDevices {
  /** Devices that were not there before. */
  readonly added: number
  /** Those that were, with the same keys. Nothing of them changed. */
  readonly unchanged: number
}

/** As many are brought in together: few enough that one transaction holds nobody up, and enough that its cost is shared. */
const BATCH = 250
/** Between which as many devices others get their turn: a key takes about 0.1 ms. */
const BREATH = 16
/** By how much another machine's clock may be ahead. */
const SKEW_MS = 60_000
const DIGEST_BYTES = 32

/**
 * Brings devices in as they come, in batches of which all or none count. Their operator vouches for them: the keys have to be
 * attestation keys as for a registration, and certificates have to be the keys' own, but whom they lead to is judged with
 * each attestation. What came before a failure stays; to bring it all once more is no change.
 *
 * @throws {AssayError} as `createAttestationKey` and `parseChain`, DER, CERTIFICATE, FIELD, AK_NAME, KEY_DENIED,
 *   DEVICE_EXISTS, POLICY_NOT_FOUND, each with `devices[N]` in its location, counted from 0 over the whole import; as
 *   `devices` throws; REGISTRY, JOURNAL.
 */
export const createImportDevices =
  (ports: Pick<Ports, "clock" | "denied" | "devices" | "breathe">) =>
  async (devices: AsyncIterable<ImportDeviceInput>, caller: Caller): Promise<ImportedDevices> => {
    let done = 0
    let added = 0
    let batch: ImportedDevice[] = []
    const flush = async (): Promise<void> => {
      if (batch.length === 0) return
      const act = actOf(ports, caller, "import-devices", digestOf(batch))
      try {
        added += (await ports.devices.import(caller.tenant, batch, act)).added
      } catch (error) {
        throw at(done, error)
      }
      done += batch.length
      batch = []
    }
    for await (const device of devices) {
      const position = done + batch.length
      try {
        batch.push(checked(device, ports))
      } catch (error) {
        throw at(position, error)
      }
      if (batch.length === BATCH) await flush()
      else if (position % BREATH === 0) await ports.breathe()
    }
    await flush()
    return { added, unchanged: done - added }
  }

/** @throws {AssayError} see `createImportDevices`. */
const checked = (
  input: ImportDeviceInput,
  { clock, denied }: Pick<Ports, "clock" | "denied">,
): ImportedDevice => {
  const { akPublic, qualifiedName, ekCertificateChain, akCertificateChain, createdAt, counters, ...rest } =
    input
  const area = parsePublic(akPublic)
  const ak = createAttestationKey(area)
  checkNotDenied(ak.spki, denied, "ak_public")
  const [ekLeaf] = parseChain(ekCertificateChain, "ek_certificate_chain")
  const [akLeaf] = parseChain(akCertificateChain, "ak_certificate_chain")
  if (akLeaf !== undefined) checkSameKey(akLeaf, area.key)
  const ek = ekOf(input.ek, ekLeaf)
  const latest = clock.now().getTime() + SKEW_MS
  const instants = { create_time: createdAt, attest_time: counters?.recordedAt }
  for (const [field, instant] of Object.entries(instants))
    if (instant !== undefined && instant.getTime() > latest)
      throw new AssayError("FIELD", `${field} is in the future`, {
        location: field,
        actual: instant.toISOString(),
      })
  return {
    ...rest,
    akPublic: area.bytes,
    akName: area.name,
    qualifiedName: qualifiedName === undefined ? undefined : parseName(qualifiedName),
    ek,
    endorsement: { ekCertificateChain, akCertificateChain, ekDigest: ekLeaf === undefined ? ek : undefined },
    createdAt,
    counters,
  }
}

/** What is said of the endorsement key has to be true of its certificate. */
const ekOf = (said: Uint8Array | undefined, leaf: Certificate | undefined): Uint8Array | undefined => {
  if (said !== undefined && said.length !== DIGEST_BYTES)
    throw new AssayError("FIELD", "ek_digest is no SHA-256", {
      location: "ek_digest",
      expected: `${DIGEST_BYTES} bytes`,
      actual: `${said.length} bytes`,
    })
  if (leaf === undefined) return said
  const certified = hash("sha256", plainSpkiOf(leaf), "buffer")
  if (said !== undefined && !sameBytes(said, certified))
    throw new AssayError("FIELD", "ek_digest is not of the key in the certificate", {
      location: "ek_digest",
      expected: toHex(certified),
      actual: toHex(said),
    })
  return certified
}

const digestOf = (batch: readonly ImportedDevice[]): Uint8Array =>
  hash(
    "sha256",
    lengthPrefixed(
      ...batch.flatMap(({ id, state, binding, akPublic }) => [
        utf8(id),
        utf8(state),
        utf8(binding),
        akPublic,
      ]),
    ),
    "buffer",
  )

/** What fails says which device of the whole import it was, counted from 0. */
const at = (position: number, error: unknown): unknown => {
  if (!(error instanceof AssayError)) return error
  const { code, message, location, expected, actual } = error
  const [, within, rest = location ?? ""] = /^devices\[(\d+)\]\.?(.*)$/s.exec(location ?? "") ?? []
  const device = `devices[${position + Number(within ?? 0)}]`
  return new AssayError(code, `${device}: ${message}`, {
    location: rest === "" ? device : `${device}.${rest}`,
    ...(expected !== undefined && { expected }),
    ...(actual !== undefined && { actual }),
    cause: error,
  })
}
