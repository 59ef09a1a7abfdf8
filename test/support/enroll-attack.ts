/**
 * Attacks on enrollment, and what has to be true after each of them: the universal postconditions U1 to U4 and U6 of the
 * attack catalogue.
 */
import type { suite } from "uvu"
import * as assert from "uvu/assert"
import { toBase64Url, toHex } from "../../src/bytes.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import { AssayError, type ChallengeState, CODES, type Code } from "../../src/errors.ts"
import type { EnrollmentTranscript } from "../../src/evidence/transcript.ts"
import type { BegunEnrollment } from "../../src/service/begin-enrollment.ts"
import type { CompleteEnrollmentInput } from "../../src/service/complete-enrollment.ts"
import type { Caller, DeviceRecord, JournalRecord } from "../../src/service/ports.ts"
import { rejectsCode } from "./assert.ts"
import { answerOf, begin, type Coming, secretOf, transcriptBy } from "./enrolling.ts"
import { newcomer } from "./newcomer.ts"
import { type Scene, sceneFor, watch } from "./scene.ts"
import { GATEWAY, type TestService } from "./service.ts"

/** What an attacker has in hand: an enrollment that was begun for a device, and the device's honest answer. */
export interface Enrolling {
  readonly world: TestService
  readonly device: SoftwareDevice
  readonly begun: BegunEnrollment
  readonly transcript: EnrollmentTranscript
  /** What the credential says; empty where there is none. */
  readonly secret: Uint8Array
  readonly honest: CompleteEnrollmentInput
}

/** How an attempt has to end. */
export interface EnrollRefusal {
  readonly code: Code
  /** What the error says of the enrollment; unspent unless told. */
  readonly challenge?: ChallengeState
  /** Whether it came so far that it is on record. By default, if it is refuted or the answer to the credential. */
  readonly journaled?: boolean
  /** What the honest answer gets afterwards. By default NONCE_SPENT if the enrollment was spent, else a device. */
  readonly afterwards?: "enrolls" | Code
}

/** One variant of a class. */
export interface EnrollAttack {
  readonly name: string
  readonly forge: (enrolling: Enrolling) => CompleteEnrollmentInput | Promise<CompleteEnrollmentInput>
  readonly refusal: EnrollRefusal
  /** Who presents it; by default who began. */
  readonly as?: Caller
  /** What the device shows, if not a certified endorsement key. */
  readonly coming?: (device: SoftwareDevice) => Promise<Coming> | Coming
}

/** Begins to enroll a device that nobody knows yet. */
export const enrolling = async (
  world: TestService,
  device: SoftwareDevice = newcomer(),
  coming: Coming = {},
): Promise<Enrolling> => {
  world.advance(1000)
  device.advance(1000)
  const begun = await begin(world, device, coming)
  return {
    world,
    device,
    begun,
    transcript: await transcriptBy(device, begun),
    secret: begun.credential === undefined ? new Uint8Array() : await secretOf(device, begun),
    honest: await answerOf(device, begun),
  }
}

/** U1 and U2: nobody came to be known by the key. */
export const assertUnknown = async ({ registry }: TestService, akName: Uint8Array): Promise<void> => {
  await rejectsCode(() => registry.snapshotFor("default", akName), "DEVICE_NOT_FOUND")
}

/** As text, bytes in both spellings. */
const spelledWith = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    part instanceof Uint8Array ? `${toHex(part)} ${toBase64Url(part)}` : part,
  )

/** U6: one record with the class's reason, and nothing that could be presented; or none at all. */
export const assertRefusalJournaled = (
  journaled: readonly JournalRecord[],
  code: Code,
  { secret, begun, honest }: Enrolling,
): void => {
  assert.equal(
    journaled.map(({ act, outcome, codes, device, tokenId }) => [act, outcome, codes, device, tokenId]),
    [["enroll-device", "refused", [code], "", undefined]],
    "U6: one record",
  )
  const told = spelledWith(journaled)
  const presentable = [secret, begun.sealed, begun.transcript.random, honest.activation?.value ?? secret]
  for (const bytes of presentable.filter(({ length }) => length > 0))
    assert.not.ok(told.includes(toHex(bytes)))
}

/** The error, which tells nothing that could be presented. */
export const assertRefused = (
  outcome: PromiseSettledResult<unknown> | undefined,
  { code, challenge = "unspent" }: EnrollRefusal,
  { secret }: Enrolling,
): void => {
  if (outcome?.status !== "rejected") throw new Error(`expected ${code}, and there is a device`)
  const error: unknown = outcome.reason
  if (!(error instanceof AssayError)) throw error
  assert.is(error.code, code, error.message)
  assert.is(error.challenge, challenge)
  const told = `${error.message} ${error.location} ${error.expected} ${error.actual}`
  if (secret.length > 0) assert.not.ok(told.includes(toHex(secret)))
}

/** One attack, and U1 to U4 and U6 after it. */
export const refusesEnrollment = async (
  scene: Scene,
  { forge, refusal, as, coming }: EnrollAttack,
): Promise<void> => {
  const { world } = scene
  const device = newcomer()
  const shown = await coming?.(device)
  const attempt = await enrolling(world, device, shown)
  const input = await forge(attempt)
  const begunBy = shown?.caller ?? GATEWAY
  const { outcomes, journaled } = await watch(scene, [
    () => world.service.completeEnrollment(input, as ?? begunBy),
  ])
  const [outcome] = outcomes
  assertRefused(outcome, refusal, attempt)
  const { code, challenge } = refusal
  const isJournaled = refusal.journaled ?? (CODES[code].kind === "refuted" || code === "ACTIVATION")
  if (isJournaled) assertRefusalJournaled(journaled, code, attempt)
  else assert.equal(journaled, [], "U2: no record")
  await assertUnknown(world, device.akName)
  await assertHonestEnrollment(
    attempt,
    refusal.afterwards ?? (challenge === "spent" ? "NONCE_SPENT" : "enrolls"),
    begunBy,
  )
}

/** U3: what the honest answer gets afterwards, if anything. */
export const assertHonestEnrollment = async (
  { world, honest }: Enrolling,
  afterwards: "enrolls" | Code,
  caller: Caller = GATEWAY,
): Promise<DeviceRecord | undefined> => {
  if (afterwards === "enrolls") return world.service.completeEnrollment(honest, caller)
  await rejectsCode(() => world.service.completeEnrollment(honest, caller), afterwards)
  return undefined
}

type Suite = ReturnType<typeof suite>

/** A test for each attack of a class, all on one service. */
export const enrollAttacks = (
  test: Suite,
  id: string,
  attacks: readonly EnrollAttack[],
  scene: () => Promise<Scene> = sceneFor(test, []),
): void => {
  for (const attack of attacks)
    test(`refuses ${id} ${attack.name}`, async () => refusesEnrollment(await scene(), attack))
}
