import type { Nudges } from "./changes.ts"
import { createRedisClient } from "./engine/redis-client.ts"

/** Of all tenants, and so of none. */
const CHANNEL = "assay:v1::changes"

/** Nudges by Redis' publish and subscribe. @throws {AssayError} INPUT as `createRedisClient`. */
export function createRedisNudges(url: string): Nudges {
  const publisher = createRedisClient(url)
  // One that is subscribed to something can do nothing else.
  const subscriber = createRedisClient(url)
  for (const client of [publisher, subscriber]) client.on("error", () => {}) // it connects again
  return {
    listen(heard) {
      subscriber.on("message", heard)
      subscriber.on("ready", () => {
        subscriber.subscribe(CHANNEL).then(heard, () => {}) // what was said meanwhile is not said again
      })
    },
    send: () => void publisher.publish(CHANNEL, "").catch(() => {}),
    async close() {
      publisher.disconnect()
      subscriber.disconnect()
    },
  }
}
