import type { Mutant } from "./mutant.ts"

const MEMBERS = {
  file: "src/store/engine/members.ts",
  tests: ["test/store/engine/members.test.ts"],
} as const
const PROCESSES = ["test/e2e/workers.test.ts"] as const

/** What several processes of one server owe each other. */
export const WORKERS: readonly Mutant[] = [
  {
    id: "worker-spends-another-s",
    named: "N-05",
    covers: ["N-05"],
    ...MEMBERS,
    find: "        if (isOwn(value.origin.keyId)) await singleUse.spend(value, at)\n        else await useValue",
    replace: "        if (at !== undefined) await singleUse.spend(value, at)\n        else await useValue",
    why: "Each worker would spend a challenge once.",
  },
  {
    id: "worker-tries-another-s",
    named: "members",
    covers: [],
    ...MEMBERS,
    find: "        isOwn(value.origin.keyId) ? singleUse.attempt(value, at) : useValue(",
    replace: "        at !== undefined ? singleUse.attempt(value, at) : useValue(",
    why: "Whoever guesses at a secret would have as many tries more as there are workers.",
  },
  {
    id: "worker-counts-by-itself",
    named: "members",
    covers: [],
    ...MEMBERS,
    find: '        if (counts === "here") return',
    replace: "        if (counts !== undefined) return",
    why: "What is counted for all would be counted by each.",
  },
  {
    id: "owner-answers-for-its-predecessor",
    named: "S-07",
    covers: ["S-07"],
    ...MEMBERS,
    find: '    if (!sameBytes(use.keyId, keyId)) return { kind: "gone" }\n',
    replace: "",
    why: "A worker that came after one that ended would spend what that one had spent.",
  },
  {
    id: "owner-that-is-gone-let-through",
    named: "S-07",
    covers: ["S-07"],
    ...MEMBERS,
    find: '        throw new AssayError(\n          "NONCE_FENCED",',
    replace:
      '        if (at !== undefined) return 1\n        throw new AssayError(\n          "NONCE_FENCED",',
    why: "What an owner that ended had spent could be spent again.",
  },
  {
    id: "owner-in-silence-let-through",
    named: "S-08",
    covers: ["S-08"],
    ...MEMBERS,
    find: '    throw new AssayError("NONCE_STORE", `the process that made the',
    replace:
      '    if (what !== "") return { kind: "used", uses: 1 }\n    throw new AssayError("NONCE_STORE", `the process that made the',
    why: "Silence of the one that knows would count as its word.",
  },
  {
    id: "owner-s-refusal-let-through",
    named: "N-05",
    covers: ["N-05"],
    ...MEMBERS,
    find: '      case "refused":\n        throw refusalOf(verdict.code, value)\n',
    replace: '      case "refused":\n        return 1\n',
    why: "A challenge would be spent on each worker although its owner refuses it.",
  },
  {
    id: "worker-opens-what-expired",
    named: "N-04",
    covers: ["N-04"],
    ...MEMBERS,
    find: "        if (!isLive(value.expiresAt, at)) throw expiredValue(value)\n",
    replace: "",
    why: "A challenge of another worker would be good for as long as it is unspent.",
  },
  {
    id: "missing-worker-unnoticed",
    named: "S-08",
    covers: ["S-08"],
    file: "src/main/supervise.ts",
    find: "    watched.push(() => crew.unready())\n",
    replace: "",
    why: "A server that has lost its workers would say that it is ready.",
    tests: PROCESSES,
  },
  {
    id: "open-calls-cut-off",
    named: "answers what is open",
    covers: [],
    file: "src/server/server.ts",
    find: "await (isInjected ? waiting.done : Promise.race([drained, waiting.done]))",
    replace: "await (isInjected ? drained : Promise.race([drained, waiting.done]))",
    why: "Calls that were recorded would end without an answer when the server is told to stop.",
    tests: PROCESSES,
  },
]
