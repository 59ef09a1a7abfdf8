import { createLocalNudges, type Nudges } from "../changes.ts"
import { refusePlaintext } from "../plaintext.ts"
import type { Engine } from "./engine.ts"
import { createKeyRecords } from "./key-record.ts"
import { createMemoryEngine } from "./memory.ts"
import { createSharedEngine, type SharedOptions } from "./shared.ts"

/** Where an engine's store is. */
export type EngineSettings =
  | { readonly kind: "memory" }
  | { readonly kind: "redis"; readonly url: string; readonly plaintext: boolean }
  | { readonly kind: "postgres"; readonly url: string; readonly plaintext: boolean; readonly schema: string }

/** What an engine needs of the rest. */
export interface EngineParts extends Omit<SharedOptions, "records"> {
  /** Asked for only where keys are shared. @throws {AssayError} INPUT. */
  readonly passphrase: () => string
  readonly spentMax: number
}

/**
 * Opens an engine. What speaks to Redis or PostgreSQL is loaded only where it is used.
 *
 * @throws {AssayError} INPUT for an address that is none, for one beyond this machine without TLS unless that is asked for,
 *   and as `createSharedEngine`; RNG.
 */
export async function openEngine(settings: EngineSettings, parts: EngineParts): Promise<Engine> {
  const { random, spentMax } = parts
  if (settings.kind === "memory") return createMemoryEngine(random, { spentMax })
  const shared = { ...parts, records: createKeyRecords(parts.passphrase(), random) }
  if (!settings.plaintext) refusePlaintext("engine", settings)
  switch (settings.kind) {
    case "redis": {
      const { openRedisLink } = await import("./redis.ts")
      return createSharedEngine(openRedisLink(settings.url), shared)
    }
    case "postgres": {
      const { openPostgresLink } = await import("./postgres.ts")
      return createSharedEngine(openPostgresLink(settings.url, { schema: settings.schema, spentMax }), shared)
    }
  }
}

/** How replicas that share an engine wake each other. @throws {AssayError} INPUT as `openEngine`. */
export async function openNudges(settings: EngineSettings): Promise<Nudges> {
  switch (settings.kind) {
    case "memory":
      return createLocalNudges()
    case "redis": {
      const { createRedisNudges } = await import("../nudges-redis.ts")
      return createRedisNudges(settings.url)
    }
    case "postgres": {
      const { createPostgresNudges } = await import("../nudges-postgres.ts")
      return createPostgresNudges(settings.url)
    }
  }
}
