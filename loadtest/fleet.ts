/** Devices for load: what they boot, the policy that lets them in, and their answers to challenges. */
import { hash } from "node:crypto"
import { toBinary } from "@bufbuild/protobuf"
import { toHex, utf8 } from "../src/bytes.ts"
import { type ChallengeParts, tpmEvidence } from "../src/device/attester.ts"
import { type BootEvent, EV_IPL, standardBoot } from "../src/device/boot.ts"
import type { KeyAlgorithm } from "../src/device/keys.ts"
import {
  createSoftwareDevice,
  type SoftwareDevice,
  type SoftwareDeviceOptions,
} from "../src/device/software.ts"
import { type VerifyRequest, VerifyRequestSchema } from "../src/gen/assay/v1/attestation_pb.ts"
import type { Case } from "./measure.ts"

/** The service that every session is for. */
export const AUDIENCE = "orders"
/** Whose devices they are. */
export const TENANT = "default"

/** What a boot loader measures beside the firmware: with them the log is as long as those of real machines, 20 to 40 KB. */
const LOADER_RECORDS = 180
/** A device of the fleet answers again after this long, by its own clock. */
const PAUSE_MS = 60_000

const loaderRecords: readonly BootEvent[] = Array.from({ length: LOADER_RECORDS }, (_, i) => {
  const command = utf8(
    `grub_cmd: menuentry ${String(i).padStart(3, "0")} { linux /vmlinuz root=/dev/vda2 ro quiet }`,
  )
  return { pcr: 8, type: EV_IPL, data: command }
})

/** Makes a device with a key of its own, and with `endorsed` what its endorsement key is like. All devices boot alike. */
export const createDevice = (
  algorithm: KeyAlgorithm,
  endorsed: Pick<SoftwareDeviceOptions, "maker" | "ekTemplate"> = {},
): SoftwareDevice =>
  createSoftwareDevice({ algorithm, events: [...standardBoot(), ...loaderRecords], ...endorsed })

const PCRS = [0, 1, 2, 3, 4, 5, 6, 7]

/** A policy that lets in what booted as `device` did, with or without showing its log, and whose key is bound by that. */
export const policyFor = (device: SoftwareDevice, binding: "operator" | "proven" = "operator"): string => {
  const reference = (pcr: number) => toHex(device.pcrValues([{ hash: "sha256", pcrs: [pcr] }]))
  return JSON.stringify({
    version: 1,
    name: "load",
    evidence: { banks: ["sha256"], pcrs: PCRS, eventLog: "optional" },
    references: [
      {
        name: "good-boot",
        pcrs: { sha256: Object.fromEntries(PCRS.map((pcr) => [String(pcr), reference(pcr)])) },
      },
    ],
    ak: { binding },
    session: { lifetimeSeconds: 300, admit: "warning", audiences: [AUDIENCE] },
  })
}

/** An encoded VerifyRequest: a fresh quote that answers `challenge`, with the device's log, its name or neither. */
export async function answer(
  device: SoftwareDevice,
  challenge: ChallengeParts,
  log: Case["log"],
): Promise<Uint8Array> {
  device.advance(PAUSE_MS)
  return encoded(await device.answer(challenge, { audience: AUDIENCE, confirmation: undefined }), log)
}

/** The same, over an epoch. */
export async function answerEpoch(
  device: SoftwareDevice,
  epoch: { readonly number: bigint; readonly value: Uint8Array },
  log: Case["log"],
): Promise<Uint8Array> {
  device.advance(PAUSE_MS)
  return encoded(await device.answerEpoch(TENANT, epoch), log)
}

function encoded(request: VerifyRequest, log: Case["log"]): Uint8Array {
  const evidence = tpmEvidence(request)
  if (log === "named") evidence.eventLogDigest = hash("sha256", evidence.eventLog, "buffer")
  if (log !== "sent") evidence.eventLog = new Uint8Array()
  return toBinary(VerifyRequestSchema, request)
}
