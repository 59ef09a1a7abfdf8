/**
 * Redis, or Valkey, as the store of an engine. One server, with or without replicas of its own; Redis Cluster is not
 * supported, for keys that have to be compared in one step would be on different nodes.
 *
 * Redis forgets: with a restart, with a failover to a replica that had not heard yet, with an eviction. So each value
 * carries what Redis was when it was sealed, and whatever is compared is compared in the script that writes. Every key
 * is `assay:v1:{tenant}:…`; what is of no tenant has none there.
 */

import { hash } from "node:crypto"
import { once } from "node:events"
import type { Redis } from "ioredis"
import { concat, toHex } from "../../bytes.ts"
import { AssayError } from "../../errors.ts"
import type { EngineLink, KeyRecord, KeyUse, Use, Verdict } from "./link.ts"
import { createRedisClient, TIMEOUT_MS } from "./redis-client.ts"
import { CLAIM, FORGET, LOOK, USE } from "./redis-scripts.ts"

const KEYS = "assay:v1::keys"
const CLOCK = "assay:v1::clock"

/** What the script says of Redis. */
type Facts = Readonly<Record<string, string>>

/**
 * A link to the Redis server at `url`: `redis://`, `rediss://` or `unix:PATH`. It connects by itself, again and again.
 *
 * @throws {AssayError} INPUT for another URL.
 */
export function openRedisLink(url: string): EngineLink {
  const redis = createRedisClient(url)
  let failure: unknown
  redis.on("error", (error: unknown) => {
    failure = error
  })

  /** Runs a script by its digest, and sends it where Redis does not have it: it was not run then. */
  const run = async (
    script: string,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<unknown> => {
    const parts = [String(keys.length), ...keys, ...args]
    try {
      return await redis.callBuffer("EVALSHA", digestOf(script), ...parts).catch((error: unknown) => {
        if (messageOf(error).startsWith("NOSCRIPT")) return redis.callBuffer("EVAL", script, ...parts)
        throw error
      })
    } catch (error) {
      throw away(error, failure)
    }
  }

  return {
    name: "Redis",
    async look() {
      await ready(redis)
      const [facts, now, keys] = asList(await run(LOOK, [KEYS, CLOCK], []))
      const told = factsOf(asList(facts).map(asText))
      const refusal = refusalOf(told)
      if (refusal !== undefined) throw refusal
      return {
        fence: told["fence"] ?? "",
        now: new Date(Number(now)),
        keys: recordsOf(asList(keys)),
        isFull: false,
      }
    },
    async claim({ use, period, bytes }) {
      await run(CLAIM, [KEYS], [`${use}:${period}`, Buffer.from(bytes)])
    },
    async tend(period) {
      await run(FORGET, [KEYS], [String(period)])
    },
    async use(use) {
      try {
        return verdictOf(asList(await run(USE, [keyOf(use), KEYS, CLOCK], argumentsOf(use))))
      } catch (error) {
        if (error instanceof AssayError && messageOf(error.cause).includes("OOM ")) return { kind: "full" }
        throw error
      }
    },
    watch(changed) {
      redis.on("ready", () => changed(true))
      redis.on("close", () => changed(false))
    },
    async close() {
      redis.disconnect()
    },
  }
}

/** Resolves when the connection is there, or when it is not in time. */
const ready = async (redis: Redis): Promise<void> => {
  if (redis.status === "ready" || redis.status === "end") return
  await once(redis, "ready", { signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(() => {})
}

/** `assay:v1:{tenant}:{what}:{id}`: the last two have no colon, so no two of them are the same. */
const keyOf = ({ tenant, what, id }: Use): string => `assay:v1:${tenant}:${what}:${toHex(id)}`

const argumentsOf = ({ kind, until, origin }: Use): readonly (string | Buffer)[] => [
  kind,
  String(until.getTime()),
  origin === undefined ? "free" : "sealed",
  origin?.fence ?? "",
  Buffer.from(origin?.keyId ?? []),
]

const verdictOf = ([kind, uses, now]: readonly unknown[]): Verdict => {
  const name = asText(kind)
  switch (name) {
    case "used":
      return { kind: name, uses: Number(uses), now: new Date(Number(now)) }
    case "spent":
    case "fenced":
    case "over":
      return { kind: name }
    default:
      throw new AssayError("NONCE_STORE", "Redis gave an answer that is none", { actual: name })
  }
}

/** Why a server is not to be relied on, if it is not. */
export const refusalOf = (facts: Facts): AssayError | undefined => {
  const wanted: readonly [fact: string, value: string, why: string][] = [
    ["mode", "standalone", "Redis Cluster and Sentinel's own port are not supported: name one Redis server"],
    [
      "role",
      "master",
      "this Redis server is a replica, which may not have heard of what was spent: name its master",
    ],
    [
      "policy",
      "noeviction",
      "this Redis server forgets what was spent when it is full: set its maxmemory-policy",
    ],
  ]
  for (const [fact, value, why] of wanted)
    if (facts[fact] !== value)
      return new AssayError("INPUT", why, {
        location: `engine: ${fact}`,
        expected: value,
        actual: facts[fact] ?? "",
      })
  return undefined
}

const factsOf = (list: readonly string[]): Facts =>
  Object.fromEntries(list.flatMap((name, i) => (i % 2 === 0 ? [[name, list[i + 1] ?? ""]] : [])))

const USES: readonly KeyUse[] = ["sealing", "epoch"]

/** Of field and value in turn; a field that is none of ours is a later version's. */
const recordsOf = (list: readonly unknown[]): readonly KeyRecord[] =>
  list.flatMap((field, i) => {
    if (i % 2 !== 0) return []
    const [name, period] = asText(field).split(":")
    const use = USES.find((known) => known === name)
    const bytes = list[i + 1]
    return use === undefined || !(bytes instanceof Uint8Array)
      ? []
      : [{ use, period: Number(period), bytes: concat(bytes) }]
  })

/** SHA-1 of a script in hexadecimal, as Redis names it. */
const digestOf = (script: string): string => {
  const digest = digests.get(script) ?? hash("sha1", script)
  digests.set(script, digest)
  return digest
}
const digests = new Map<string, string>()

const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const asText = (value: unknown): string =>
  value instanceof Uint8Array ? Buffer.from(value).toString() : String(value)
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : "")

/** That Redis gave no sure answer; where it cannot even be asked, for the reason that the connection failed. */
const away = (cause: unknown, failure: unknown): AssayError => {
  const isOffline = messageOf(cause).startsWith("Stream isn't writeable")
  return new AssayError("NONCE_STORE", "Redis, which remembers what was spent, gives no sure answer", {
    cause: isOffline && failure !== undefined ? failure : cause,
  })
}
