/**
 * The first that the server sees of a device: a quote, a certificate chain of its attestation key (its own, an
 * intermediate of its own and the anchor's, all P-256) and an event log of 60 KB that no other device has. Nothing that the
 * server could remember of it has been there before; only the code is warm, by other devices. CPU time of the whole
 * process, for one call.
 */
import { join } from "node:path"
import { toBinary } from "@bufbuild/protobuf"
import { utf8 } from "../src/bytes.ts"
import { tpmEvidence } from "../src/device/attester.ts"
import { EV_IPL, standardBoot } from "../src/device/boot.ts"
import { createSoftwareDevice, type SoftwareDevice } from "../src/device/software.ts"
import { parsePublic } from "../src/evidence/tpm/public.ts"
import { VerifyRequestSchema } from "../src/gen/assay/v1/attestation_pb.ts"
import { AnchorPurpose, AnchorRevocation } from "../src/gen/assay/v1/trust_pb.ts"
import { createKeyObject } from "../src/verification/key.ts"
import {
  AK_EXTENSIONS,
  caExtensions,
  type Keys,
  makeCertificate,
  name,
  p256Keys,
  seq,
} from "../test/support/x509.ts"
import { AUDIENCE } from "./fleet.ts"
import { timed, type Window } from "./measure.ts"
import type { Amount, PartResult } from "./part.ts"
import { withFolder } from "./servers.ts"
import { spreadOf } from "./statistics.ts"
import { register, startTarget, type Target } from "./target.ts"
import { differences, NO_COUNTS, plus } from "./tokens.ts"

const LOG_BYTES = 60 * 1024
/** What a record of the boot loader takes in the log, besides its text. */
const RECORD_BYTES = 50
const TEXT_BYTES = 256
/** Devices in a round: each is new once. */
const DEVICES_MAX = 60
/** Until then the compiler still makes calls cheaper: the first round costs three times the tenth. */
const WARM_ROUNDS = 12
/** Calls at a time: evidence of this size comes rarely. */
const IN_FLIGHT_MAX = 8
const MICROSECONDS_PER_MS = 1000

const root = p256Keys()
const rootName = name({ "2.5.4.3": "Bench TPM Root CA" })
const anchor = makeCertificate(root, root, rootName, rootName, caExtensions())

/** One that booted like all others, but for the commands of its loader. */
const createNewcomer = (i: number): SoftwareDevice => {
  const records = Math.ceil(LOG_BYTES / (RECORD_BYTES + TEXT_BYTES))
  const commands = Array.from({ length: records }, (_, n) => ({
    pcr: 8,
    type: EV_IPL,
    data: utf8(`grub_cmd: device ${i}, command ${n} `.padEnd(TEXT_BYTES, "x")),
  }))
  return createSoftwareDevice({ algorithm: "p256", events: [...standardBoot(), ...commands] })
}

/** Leaf, intermediate and anchor. */
const chainOf = ({ akPublic }: SoftwareDevice, i: number): readonly Uint8Array[] => {
  const ca = p256Keys()
  const caName = name({ "2.5.4.3": `Bench TPM CA ${i}` })
  const spki = createKeyObject(parsePublic(akPublic).key).export({ type: "spki", format: "der" })
  const keys: Keys = { ...ca, spki: new Uint8Array(spki) }
  return [
    makeCertificate(keys, ca, seq(), caName, AK_EXTENSIONS),
    makeCertificate(ca, root, caName, rootName, caExtensions(0)),
    anchor,
  ]
}

const requestOf = async (
  device: SoftwareDevice,
  challenge: Awaited<ReturnType<Target["challenges"]>>[number],
  chain: readonly Uint8Array[],
): Promise<Uint8Array> => {
  const request = await device.answer(challenge, { audience: AUDIENCE, confirmation: undefined })
  tpmEvidence(request).akCertificateChain = [...chain]
  return toBinary(VerifyRequestSchema, request)
}

/** Measures it. */
export const measureFirstSight = ({ calls, rounds, inFlight }: Amount): Promise<PartResult> =>
  withFolder(async (folder, cleanup) => {
    const target = await startTarget(join(folder, "data"), cleanup)
    const each = Math.min(calls, DEVICES_MAX)
    const all = Array.from({ length: each * (WARM_ROUNDS + rounds) }, (_, i) => createNewcomer(i))
    const { ANY } = AnchorPurpose
    const trusted = { certificate: anchor, label: "bench", purpose: ANY, revocation: AnchorRevocation.OFF }
    await target.operator.importTrust({ anchors: [trusted] })
    await register(target, all, "proven")
    const windows: Window[] = []
    let counts = NO_COUNTS
    let logBytes = 0
    let requestBytes = 0
    for (let round = -WARM_ROUNDS; round < rounds; round++) {
      const devices = all.splice(0, each)
      const challenges = await target.challenges(each)
      const requests = await Promise.all(
        devices.map((device, i) => {
          const challenge = challenges[i]
          if (challenge === undefined) throw new Error("a challenge is missing")
          return requestOf(device, challenge, chainOf(device, i))
        }),
      )
      logBytes = devices[0]?.eventLog.length ?? 0
      requestBytes = requests[0]?.length ?? 0
      const done = await target.counted(() =>
        timed(target.child, target.caller, requests, each, Math.min(inFlight, IN_FLIGHT_MAX)),
      )
      counts = plus(counts, done.counts)
      if (round >= 0) windows.push(done.window)
    }
    const spread = spreadOf(windows, ({ microseconds }) => microseconds / MICROSECONDS_PER_MS)
    return {
      figures: { firstSight: spread },
      details: { devices: each * rounds, logBytes, requestBytes, counts },
      differences: differences("first sight", counts),
    }
  })
