import { Redis } from "ioredis"
import { AssayError } from "../../errors.ts"

/** Within this Redis answers, or is away. */
export const TIMEOUT_MS = 1000
/** After a lost connection, and between the tries. */
const RETRY_MS = 250

/**
 * A client of the server at `url`: `redis://`, `rediss://` or `unix:PATH`. It connects by itself, again and again.
 *
 * @throws {AssayError} INPUT for another URL.
 */
export const createRedisClient = (url: string): Redis => {
  const options = {
    connectTimeout: TIMEOUT_MS,
    commandTimeout: TIMEOUT_MS,
    // What cannot be sent now fails now, and nothing is sent twice: whoever asked has been told that it failed.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => RETRY_MS,
  }
  if (url.startsWith("unix:")) return new Redis({ ...options, path: url.replace(/^unix:(\/\/)?/, "") })
  if (/^rediss?:\/\//.test(url) && URL.canParse(url) && new URL(url).search === "")
    return new Redis(url, options)
  throw new AssayError("INPUT", "Redis is reached by redis://, rediss:// or unix:PATH, without parameters", {
    location: "engine.url",
  })
}
