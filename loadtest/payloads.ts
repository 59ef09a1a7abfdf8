/** The data files of ghz: messages as JSON, made by a fleet of software devices that the server knows. */
import { hash, randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { create, toJson } from "@bufbuild/protobuf"
import { createAdminClient } from "../src/client/admin.ts"
import { type AttestationClient, createAttestationClient } from "../src/client/attestation.ts"
import { createEnrollmentClient } from "../src/client/enrollment.ts"
import { challengeParts, tpmEvidence } from "../src/device/attester.ts"
import { enrollmentParts } from "../src/device/enrollment.ts"
import type { KeyAlgorithm } from "../src/device/keys.ts"
import type { SoftwareDevice } from "../src/device/software.ts"
import {
  type VerifyRequest,
  VerifyRequestSchema,
  VerifyStreamRequestSchema,
} from "../src/gen/assay/v1/attestation_pb.ts"
import {
  type BeginEnrollmentRequest,
  BeginEnrollmentRequestSchema,
} from "../src/gen/assay/v1/enrollment_pb.ts"
import { AUDIENCE, createDevice, policyFor, TENANT } from "./fleet.ts"
import type { Configuration } from "./ghz.ts"
import type { Release } from "./release.ts"

const ALGORITHMS: readonly KeyAlgorithm[] = ["p256", "rsa-2048", "p384"]
const algorithmOf = (i: number): KeyAlgorithm => ALGORITHMS[i % ALGORITHMS.length] ?? "p256"
/** Of P-256: the primes of RSA take a tenth of a second each, and every device has an endorsement key of its own. */
const EK_TEMPLATE = "L-2"
/** The server lets no endorsement key begin more often within ten minutes. */
const BEGINNINGS_MAX = 10
/** Calls of the preparation that are under way at a time. */
const IN_FLIGHT = 32
const NONCE_BYTES = 32
const PERCENT = 100

/** Devices that the server knows, and the gateway that speaks for them. */
export interface Fleet {
  readonly devices: readonly SoftwareDevice[]
  readonly gateway: AttestationClient
  /** PEM of who certifies their endorsement keys. */
  readonly maker: string
}

/** What one configuration is run with. */
export interface Plan {
  /** Calls; of VerifyStream, streams. */
  readonly total: number
  /** Messages in the data file, which take turns; each stream carries them all. */
  readonly messages: number
  /** How many of those carry a forged signature. */
  readonly forged: number
}

/** What to run `config` with, for a fleet of `size` and at most `callsMax` messages where that leaves a call. */
export function payloadOf({ call, tags, total }: Configuration, size: number, callsMax: number): Plan {
  const { freshness, messages: shownOnce = size, forgedPercent = 0 } = tags ?? {}
  if (freshness === "challenge" && call.endsWith(".VerifyStream"))
    return { total: 1, messages: Math.min(shownOnce, callsMax), forged: 0 }
  if (freshness === "challenge") {
    const calls = Math.min(total, callsMax)
    return { total: calls, messages: calls, forged: 0 }
  }
  if (call.endsWith(".VerifyStream")) {
    const streams = Math.min(total, Math.max(1, Math.floor(callsMax / size)))
    return { total: streams, messages: size, forged: 0 }
  }
  if (call.endsWith(".BeginEnrollment")) {
    const calls = Math.min(total, callsMax)
    return { total: calls, messages: Math.ceil(calls / BEGINNINGS_MAX), forged: 0 }
  }
  if (forgedPercent === 0) return { total: Math.min(total, callsMax), messages: size, forged: 0 }
  // Whole hundreds, shown a whole number of times: else there would be more or less than so many of a hundred.
  const messages = PERCENT * Math.ceil(size / PERCENT)
  const rounds = Math.max(1, Math.floor(Math.min(total, callsMax) / messages))
  return { total: rounds * messages, messages, forged: (messages / PERCENT) * forgedPercent }
}

/**
 * Makes `size` devices with keys of three kinds in turn. Each enrolls, so that its key is bound to its TPM and nothing but its
 * state is left to judge, and attests with its log once: from then on evidence names the log.
 */
export async function createFleet(
  { admin, address, credential, maker }: Release,
  size: number,
): Promise<Fleet> {
  const devices = Array.from({ length: size }, (_, i) =>
    createDevice(algorithmOf(i), { maker, ekTemplate: EK_TEMPLATE }),
  )
  const operator = createAdminClient(admin)
  const enrollment = createEnrollmentClient(address, { credential })
  const gateway = createAttestationClient(address, { credential })
  try {
    const [first] = devices
    if (first === undefined) throw new TypeError("a fleet has a device")
    await operator.setPolicy(policyFor(first))
    await operator.assignPolicy({ policy: "load" })
    await atOnce(devices, async (device) => {
      const begun = await enrollment.beginEnrollment(await beginningOf(device))
      await enrollment.completeEnrollment(await device.answerEnrollment(enrollmentParts(begun)))
      const { token } = await gateway.verify(await answering(gateway, device))
      if (token.case !== "sessionToken") throw new Error("a device of the fleet was refused")
    })
    return { devices, gateway, maker }
  } catch (error) {
    gateway.close()
    throw error
  } finally {
    operator.close()
    enrollment.close()
  }
}

const beginningOf = async (device: SoftwareDevice): Promise<BeginEnrollmentRequest> => {
  const { akPublic, qualifiedName } = device
  const [ekPublic, chain] = [await device.ekPublic(), await device.ekCertificateChain()]
  return create(BeginEnrollmentRequestSchema, {
    ...{ akPublic, qualifiedName, ekPublic },
    ekCertificateChain: [...chain],
  })
}

/** Writes the data file that `config` reads, if it reads one, into `folder`. */
export async function writePayload(
  config: Configuration,
  plan: Plan,
  fleet: Fleet,
  folder: string,
): Promise<void> {
  const file = config["data-file"]
  if (file === undefined) return
  const messages =
    config.call === "assay.v1.EnrollmentService.BeginEnrollment"
      ? await enrollments(fleet.maker, plan.messages)
      : await verifications(config, plan, fleet)
  writeFileSync(join(folder, basename(file)), JSON.stringify(messages))
}

const verifications = async (
  config: Configuration,
  { messages }: Plan,
  fleet: Fleet,
): Promise<readonly unknown[]> =>
  (await verifyRequests(config, messages, fleet)).map((request, i) =>
    config.call === "assay.v1.AttestationService.VerifyStream"
      ? toJson(VerifyStreamRequestSchema, create(VerifyStreamRequestSchema, { id: `message-${i}`, request }))
      : toJson(VerifyRequestSchema, request),
  )

/** What `count` messages of a configuration ask, devices in turn. Of each hundred the first few are forged, if any are to be. */
export async function verifyRequests(
  { tags }: Configuration,
  count: number,
  fleet: Fleet,
): Promise<readonly VerifyRequest[]> {
  const { freshness = "nonce", forgedPercent = 0 } = tags ?? {}
  const requests = await requestsOf(freshness, fleet, count)
  for (const [i, request] of requests.entries()) {
    named(request)
    if (i % PERCENT < forgedPercent) forge(request)
  }
  return requests
}

async function requestsOf(
  freshness: "nonce" | "epoch" | "challenge",
  fleet: Fleet,
  count: number,
): Promise<readonly VerifyRequest[]> {
  const { devices, gateway } = fleet
  const inTurn = (
    turns: readonly SoftwareDevice[],
    act: (device: SoftwareDevice) => Promise<VerifyRequest>,
  ): Promise<readonly VerifyRequest[]> =>
    atOnce(
      Array.from({ length: count }, (_, i) => turns[i % turns.length]).filter((one) => one !== undefined),
      act,
    )
  switch (freshness) {
    case "nonce":
      return inTurn(devices, (device) => device.answerNonce(TENANT, randomBytes(NONCE_BYTES)))
    case "epoch": {
      const epoch = await gateway.getEpoch()
      return inTurn(devices, (device) => device.answerEpoch(TENANT, epoch))
    }
    case "challenge":
      return inTurn(quotingDevices(fleet), (device) => answering(gateway, device))
  }
}

/** Another signature of the right form: one bit in the middle of it is not the key's. */
const forge = (request: VerifyRequest): void => {
  const evidence = tpmEvidence(request)
  const { signature } = evidence
  evidence.signature = signature.with(signature.length >> 1, (signature[signature.length >> 1] ?? 0) ^ 1)
}

/** Those with P-256 keys, which sign ten times as fast as RSA: whoever plays many devices at once needs that. */
export const quotingDevices = ({ devices }: Fleet): readonly SoftwareDevice[] =>
  devices.filter((_, i) => algorithmOf(i) === "p256")

/** A quote over a challenge that is made for it, with the log. */
async function answering(gateway: AttestationClient, device: SoftwareDevice): Promise<VerifyRequest> {
  const challenge = challengeParts(await gateway.createChallenge({ audience: AUDIENCE }))
  return device.answer(challenge, { audience: AUDIENCE, confirmation: undefined })
}

/** The same evidence, naming its log, which the server has seen. */
export const named = (request: VerifyRequest): VerifyRequest => {
  const evidence = tpmEvidence(request)
  evidence.eventLogDigest = hash("sha256", evidence.eventLog, "buffer")
  evidence.eventLog = new Uint8Array()
  return request
}

/** What devices that nobody knows yet show first. They are never stored. */
const enrollments = (maker: string, count: number): Promise<readonly unknown[]> =>
  atOnce(Array.from({ length: count }), async () => {
    const device = createDevice("p256", { maker, ekTemplate: EK_TEMPLATE })
    return toJson(BeginEnrollmentRequestSchema, await beginningOf(device))
  })

/** What `act` gives for each of `items`, in their order, a few at a time. */
async function atOnce<T, R>(
  items: readonly T[],
  act: (item: T, i: number) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = new Array(items.length)
  const entries = items.entries()
  const work = async (): Promise<void> => {
    for (const [i, item] of entries) results[i] = await act(item, i)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, work))
  return results
}
