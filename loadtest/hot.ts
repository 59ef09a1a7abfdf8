/**
 * What the process of a release build holds in memory when so many devices are hot: each has been verified once since the start, by a
 * P-256 key of its own and with an event log of its own, so that the caches of contexts, logs and findings have it, up to their
 * bounds. Devices were registered by an operator, and have no certificates. Some of them are shown again at the end, and
 * have to be found in the cache. Memory is the resident set, kernel pages of files mapped included; nothing is collected for it.
 */
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { create, toBinary } from "@bufbuild/protobuf"
import { timestampNow } from "@bufbuild/protobuf/wkt"
import { utf8 } from "../src/bytes.ts"
import { EV_IPL, standardBoot } from "../src/device/boot.ts"
import { createSoftwareDevice, type SoftwareDevice } from "../src/device/software.ts"
import { VerifyRequestSchema } from "../src/gen/assay/v1/attestation_pb.ts"
import { DeviceExportSchema, KeyBinding } from "../src/gen/assay/v1/device_pb.ts"
import { DeviceState } from "../src/gen/assay/v1/enrollment_pb.ts"
import { memoryOf } from "./cpu.ts"
import { policyFor, TENANT } from "./fleet.ts"
import type { Amount, PartResult } from "./part.ts"
import { startRelease } from "./release.ts"
import { withFolder } from "./servers.ts"
import { ask, cacheCounts } from "./target.ts"
import { differences, NO_COUNTS, plus } from "./tokens.ts"

const BATCH = 1000
/** Of each batch so many are shown again. */
const AGAIN = 10
const NONCE_BYTES = 32

/** Made anew for each batch: whoever measures need not remember them. */
const createOne = (i: number): SoftwareDevice =>
  createSoftwareDevice({
    algorithm: "p256",
    events: [...standardBoot(), { pcr: 8, type: EV_IPL, data: utf8(`grub_cmd: serial ${i}`) }],
  })

async function* exportsOf(devices: readonly SoftwareDevice[], first: number) {
  for (const [i, { akPublic, qualifiedName }] of devices.entries())
    yield create(DeviceExportSchema, {
      ...{ id: `device-${first + i}`, akPublic, qualifiedName },
      ...{ binding: KeyBinding.OPERATOR, state: DeviceState.ACTIVE, createTime: timestampNow() },
    })
}

const showing = (device: SoftwareDevice): Promise<Uint8Array> =>
  device
    .answerNonce(TENANT, randomBytes(NONCE_BYTES))
    .then((request) => toBinary(VerifyRequestSchema, request))

/** Measures it. */
export const measureHot = ({ hot, inFlight }: Pick<Amount, "hot" | "inFlight">): Promise<PartResult> =>
  withFolder(async (folder, cleanup) => {
    const release = await startRelease(folder, [])
    cleanup.push(() => release.stop())
    const target = await ask(release, join(folder, "data"), cleanup)
    const { pid } = release
    await target.operator.setPolicy(policyFor(createOne(0)))
    await target.operator.assignPolicy({ policy: "load" })
    const before = memoryOf(pid)
    const kept: Uint8Array[] = []
    let counts = NO_COUNTS
    const show = async (requests: readonly Uint8Array[]): Promise<void> => {
      const done = await target.counted(async () => ({
        answers: await target.caller.callAll(requests, inFlight),
      }))
      counts = plus(counts, done.counts)
    }
    for (let first = 0; first < hot; first += BATCH) {
      const devices = Array.from({ length: Math.min(BATCH, hot - first) }, (_, i) => createOne(first + i))
      await target.operator.importDevices(exportsOf(devices, first))
      const requests = await Promise.all(devices.map(showing))
      await show(requests)
      kept.push(...requests.slice(0, AGAIN))
    }
    const { misses } = await cacheCounts(target)
    await show(kept)
    const missedAgain = (await cacheCounts(target)).misses - misses
    const after = memoryOf(pid)
    const { residentMiB } = after
    return {
      figures: { resident: { median: residentMiB, min: residentMiB, max: residentMiB } },
      details: { devices: hot, before, after, missedAgain, counts },
      differences: [
        ...differences("hot", counts),
        ...(missedAgain > 0 ? [`hot: ${missedAgain} of ${kept.length} devices were forgotten`] : []),
      ],
    }
  })
