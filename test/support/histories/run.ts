/**
 * Random histories of everything that moves a verdict, before two services: one with every cache on, and one with none. Every
 * answer is compared, what is random in it left out, every record of the journal, and what is known of the devices at the end.
 */
import { toHex } from "../../../src/bytes.ts"
import { AssayError, type ChallengeState } from "../../../src/errors.ts"
import type { AttestationResult } from "../../../src/result/result.ts"
import type { Caller, JournalRecord, Ports } from "../../../src/service/ports.ts"
import type { VerifyInput } from "../../../src/service/service.ts"
import { act, each, restore, settle } from "./acts.ts"
import { callerOf, showing } from "./show.ts"
import { historyOf, type Step } from "./steps.ts"
import { createPair, type Pair, type World } from "./world.ts"

/** More than a step makes. */
const RECORDS_MAX = 8

const partOf = (token: string, part: number): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split(".")[part] ?? "", "base64url").toString())

/** All that is told, but for what is random: the result's id, which is the token's too, and the signature. */
const told = ({ id, token, ...result }: AttestationResult, { signer }: Pick<Ports, "signer">) => {
  const { jti, ...claims } = partOf(token.compact, 1)
  const header = partOf(token.compact, 0)
  // What both say in vain would not show.
  if (header["kid"] !== signer.keyId) throw new Error("a token names another key than the one that signs")
  return { ...result, claims, header, ends: token.expiresAt, isNamed: jti === id }
}

const answer = async ({ service, ports }: World, input: VerifyInput, caller: Caller): Promise<unknown> => {
  try {
    return told(await service.verify(input, caller), ports)
  } catch (error) {
    if (!(error instanceof AssayError)) throw error
    const { code, message, location, expected, actual, challenge } = error
    return { code, message, location, expected, actual, challenge }
  }
}

/** As texts, so that a difference shows. */
const spelled = (values: readonly unknown[]): string[] => values.map((value) => JSON.stringify(plain(value)))

/** Bytes and long integers as text, before `JSON.stringify` asks a Buffer how it would like to be written. */
const plain = (value: unknown): unknown => {
  if (typeof value === "bigint") return String(value)
  if (value instanceof Uint8Array) return toHex(value)
  if (value instanceof Date || typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(plain)
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]))
}

const recordsOf = async ({ store }: World): Promise<unknown[]> => {
  const records = await store.journal.records("default", { limit: RECORDS_MAX })
  return records.map(({ tokenId, ...record }: JournalRecord) => ({
    ...record,
    hasToken: tokenId !== undefined,
  }))
}

interface Refused {
  readonly code: string
  readonly challenge: ChallengeState
}
const isRefused = (one: unknown): one is Refused =>
  typeof one === "object" && one !== null && "code" in one && "challenge" in one

/**
 * The one thing that may differ: a challenge is spent by evidence that answered it as its device is remembered, although the
 * device is not there any more as it was. The call is refused as it would be without caches, and says that it was spent.
 */
const isSpentByMemory = (ours: readonly unknown[], others: readonly unknown[]): boolean =>
  [...ours, ...others].every(isRefused) &&
  ours
    .filter(isRefused)
    .some(
      (one) =>
        one.challenge === "spent" &&
        others.filter(isRefused).every(({ code, challenge }) => code === one.code && challenge === "unspent"),
    )

const butForChallenge = (answers: readonly unknown[]): readonly unknown[] =>
  answers.filter(isRefused).map(({ challenge: _, ...rest }) => rest)

/** Spends in the other what only memory has spent: from then on, both have spent and forgotten the same. */
const spendIn = async ({ ports }: World, { freshness }: VerifyInput): Promise<void> => {
  if (freshness.kind !== "challenge") return
  const now = ports.clock.now()
  await ports.singleUse.spend(await ports.singleUse.open("attest", freshness.challenge, now), now)
}

/** What both say to a step, each as texts. */
const take = async (pair: Pair, step: Step) => {
  await act(pair, step)
  const input = await showing(pair, step)
  const caller = callerOf(pair, step)
  const [ours = [], others = []] = await each(pair, (world) =>
    Promise.all(Array.from({ length: step.abreast }, () => answer(world, input, caller))),
  )
  const isSpent = isSpentByMemory(ours, others)
  if (isSpent) await spendIn(pair.worlds[1], input)
  const answers = isSpent ? [ours, others].map(butForChallenge) : [ours, others]
  const texts = await Promise.all(
    pair.worlds.map(async (world, i) => [...spelled(answers[i] ?? []), ...spelled(await recordsOf(world))]),
  )
  return { texts, labels: isSpent ? [SPENT_BY_MEMORY] : ours.map((one) => labelOf(one, input)) }
}

const devicesOf = (pair: Pair, { store }: World): Promise<unknown[]> =>
  Promise.all(
    pair.slots.map(({ id }) =>
      store.registry.device("default", id).then(({ state, revision, counters, lastResult }) => ({
        state,
        revision,
        counters,
        lastResult,
      })),
    ),
  )

/** What only one of both says, whatever its order: what comes at a time may come in any. */
const differing = ([ours = [], others = []]: readonly (readonly string[])[], where: string): string[] => {
  const [first, second] = [ours.toSorted(), others.toSorted()]
  if (first.join() === second.join()) return []
  const only = (of: readonly string[], not: readonly string[]) => of.filter((text) => !not.includes(text))
  return [`${where}: with caches ${only(first, second)}, without ${only(second, first)}`]
}

/** What a stretch of histories came to: how many answers there were of each kind, and where the two differed. */
export const runHistories = async (from: number, to: number) => {
  const pair = createPair()
  const counts: Record<string, number> = {}
  const failures: string[] = []
  const count = (label: string, by = 1): void => {
    counts[label] = (counts[label] ?? 0) + by
  }
  try {
    await settle(pair)
    for (let number = from; number < to; number++) {
      await restore(pair)
      for (const [i, step] of historyOf(number).entries()) {
        const { texts, labels } = await take(pair, step)
        failures.push(...differing(texts, `history ${number}, step ${i}: ${JSON.stringify(step)}`))
        for (const label of labels) count(label)
      }
      const states = await each(pair, async (world) => spelled(await devicesOf(pair, world)))
      failures.push(...differing(states, `history ${number}, devices`))
    }
    count(VERDICT_HITS, pair.worlds[0].verdicts?.hits)
  } finally {
    for (const world of pair.worlds) world.close()
  }
  return { counts, failures }
}

/** How verdicts that were remembered are counted. */
export const VERDICT_HITS = "verdicts over an epoch that were remembered"

/** What some hundred histories come to, each so often at least. */
export const OUTCOMES: readonly (readonly [outcome: string, least: number])[] = [
  ["challenge: affirming", 10],
  ["nonce: affirming", 20],
  ["epoch: affirming", 40],
  ["epoch: contraindicated", 100],
  ["EVENT_LOG_NEEDED", 100],
  ["NONCE_SPENT", 50],
  ["EPOCH", 30],
  ["PERMISSION", 30],
  ["DEVICE_NOT_FOUND", 5],
  [VERDICT_HITS, 50],
]

/** How challenges are counted that only the service with caches has spent. */
export const SPENT_BY_MEMORY = "refused by both, and spent by what was remembered"

const labelOf = (answer: unknown, { freshness: { kind } }: VerifyInput): string => {
  if (typeof answer !== "object" || answer === null) return "nothing"
  if ("code" in answer) return String(answer.code)
  return `${kind}: ${"tier" in answer ? answer.tier : "nothing"}`
}
