import type { Mutant } from "./mutant.ts"

const N07 = { named: "N-07", covers: ["N-07"] } as const
const BUCKETS = { ...N07, file: "src/server/buckets.ts", tests: ["test/server/limiter.test.ts"] } as const
const LIMITER = { ...N07, file: "src/server/limiter.ts", tests: ["test/server/limiter.test.ts"] } as const
const RUNNING = { ...N07, tests: ["test/server/rates.test.ts"] } as const

/** What callers may ask for, and how often. */
export const RATES: readonly Mutant[] = [
  {
    id: "bucket-evicts-limited",
    ...BUCKETS,
    find: "if (fullAt <= nowMs) this.#fullAt.delete(key)",
    replace: "this.#fullAt.delete(key)",
    why: "Who has used up his own would be as new after a flood of other keys.",
  },
  {
    id: "bucket-no-place",
    ...BUCKETS,
    find: "return this.#fullAt.size < this.#max\n",
    replace: "return true\n",
    why: "A flood of addresses would fill the memory.",
  },
  {
    id: "bucket-shared",
    ...BUCKETS,
    find: "      this.#sharedFullAt = fullAt\n",
    replace: "",
    why: "Whoever finds no place would not be limited at all.",
  },
  {
    id: "bucket-burst",
    ...BUCKETS,
    find: "return waitMs > ROUNDING_MS ?",
    replace: "return waitMs > 1e12 ?",
    why: "Nothing would be limited.",
  },
  {
    id: "bucket-refused-costs",
    ...BUCKETS,
    find: "{ waitMs, fullAt: before } :",
    replace: "{ waitMs, fullAt: nowMs + missingMs } :",
    why: "Who asks too often would be locked out for as long as he asks.",
  },
  {
    id: "limit-challenges",
    ...LIMITER,
    find: 'if (method === CREATE_CHALLENGE) take(challenges, key, "challenges of this caller")\n      else if',
    replace: "if",
    why: "One caller could have every core make challenges.",
  },
  {
    id: "limit-enrollments",
    ...LIMITER,
    find: "else if (method.startsWith(ENROLLMENT))",
    replace: "else if (method === ENROLLMENT)",
    why: "One caller could fill the room for enrollments.",
  },
  {
    id: "limit-device",
    ...LIMITER,
    find: "principal.own === undefined ? callers : devices",
    replace: "callers",
    why: "A device could ask as often as a gateway.",
  },
  {
    id: "limit-at-a-time",
    ...LIMITER,
    find: "if (now >= rates.callsMax)",
    replace: "if (now >= 1e9)",
    why: "One caller could hold every call that there may be.",
  },
  {
    id: "limit-ended-once",
    ...LIMITER,
    find: "        if (ended) return\n",
    replace: "",
    why: "A caller would be let more calls at a time with each that ends twice.",
  },
  {
    id: "limit-network",
    ...LIMITER,
    find: "if (address !== undefined) take(from, networkOf(address), what)",
    replace: "if (address !== undefined) take(from, address, what)",
    why: "Whoever has one network of IPv6 has more addresses than there are buckets.",
  },
  {
    id: "limit-source",
    ...RUNNING,
    file: "src/server/call.ts",
    find: "              edge.limiter?.source(call.getConnectionInfo().remoteAddress)\n",
    replace: "",
    why: "Strangers could have secrets tried as fast as the machine goes.",
  },
  {
    id: "limit-caller",
    ...RUNNING,
    file: "src/server/call.ts",
    find: "release = edge.limiter?.call(principal, method) ?? release",
    replace: "release = () => {}",
    why: "A caller could take all there is from the others.",
  },
  {
    id: "limit-released",
    ...RUNNING,
    file: "src/server/call.ts",
    find: "      release()\n",
    replace: "",
    why: "A caller would be locked out after a thousand calls.",
  },
  {
    id: "limit-stream",
    ...RUNNING,
    file: "src/server/stream.ts",
    find: "        context.request()\n",
    replace: "",
    why: "What is limited in calls would be free in one stream.",
  },
  {
    id: "limit-lookup",
    ...RUNNING,
    file: "src/server/caller.ts",
    find: "    parts.lookup(address)\n",
    replace: "",
    why: "Guesses of tokens would be as fast as the store.",
  },
  {
    id: "limit-handshakes",
    ...RUNNING,
    file: "src/server/tls.ts",
    find: 'if (!parts.admit(socket.remoteAddress ?? ""))',
    replace: 'if (socket.remoteAddress === "")',
    why: "Whoever reaches the port could have handshakes done all day.",
  },
  {
    id: "log-refused",
    ...N07,
    file: "src/server/call-log.ts",
    tests: ["test/server/call-log.test.ts"],
    find: 'if (bucket.take("", nowMs()) > 0) {',
    replace: 'if (bucket.take("", nowMs()) > 1e12) {',
    why: "A flood that is refused would fill the disk.",
  },
]
