import type { Mutant } from "./mutant.ts"

/** The classes of `CLASSES` that these stand for. */
const IN_SCOPE: readonly string[] = ["G-02", "G-03", "G-06", "G-11"]

const of = (id: string, file: string, test: string) =>
  ({
    named: id,
    covers: IN_SCOPE.filter((one) => one === id),
    file: `src/server/${file}.ts`,
    tests: [`test/server/${test}.test.ts`],
  }) as const

/** What connections and calls may cost before they are answered. */
export const EDGE: readonly Mutant[] = [
  {
    id: "message-flag",
    ...of("G-02", "framing", "framing"),
    find: "if (flag > COMPRESSED)",
    replace: "if (flag > 255)",
    why: "What nobody has defined would be taken for a message.",
  },
  {
    id: "arrival-method",
    ...of("G-02", "arrival", "arrival"),
    find: 'if (method !== "POST")',
    replace: "if (method === undefined)",
    why: "What is no gRPC would be answered as if it were.",
  },
  {
    id: "arrival-scheme",
    ...of("G-02", "arrival", "arrival"),
    find: 'if (scheme !== "https" && (isTls || scheme !== "http"))',
    replace: "if (scheme === undefined)",
    why: "A call could say that it is not protected where it is.",
  },
  {
    id: "arrival-content",
    ...of("G-02", "arrival", "arrival"),
    find: "if (type === undefined || !CONTENT_TYPE.test(type))",
    replace: "if (type === undefined)",
    why: "Another protocol's framing would be read as ours.",
  },
  {
    id: "arrival-once",
    ...of("G-11", "arrival", "arrival"),
    find: "if (times > 1)",
    replace: "if (times > 9)",
    why: "A proxy could judge one credential and Assay another.",
  },
  {
    id: "guard-open-size",
    ...of("G-06", "guard", "guard"),
    find: "const max = openToAll ? OPEN_MESSAGE_BYTES_MAX : this.#guard.limits.messageBytesMax",
    replace: "const max = this.#guard.limits.messageBytesMax",
    why: "Strangers could have megabytes held, message by message.",
  },
  {
    id: "guard-size",
    ...of("G-01", "guard", "guard"),
    find: "if (size > max)",
    replace: "if (size > 2 ** 40)",
    why: "A refused message would not say why.",
  },
  {
    id: "guard-packed",
    ...of("G-06", "guard", "guard"),
    find: "if (compressed && openToAll)",
    replace: "if (compressed && size < 0)",
    why: "Strangers could have tiny messages unpacked to large ones.",
  },
  {
    id: "guard-second",
    ...of("G-06", "guard", "guard"),
    find: "if (!requestStream && this.#messages > 1)",
    replace: "if (!requestStream && this.#messages > 1e9)",
    why: "A call with one request could have any number of them held.",
  },
  {
    id: "guard-held",
    ...of("G-06", "guard", "guard"),
    find: "    this.#guard.held.take(this.#owners, bytes)\n",
    replace: "",
    why: "Half messages would fill the memory.",
  },
  {
    id: "guard-slow",
    ...of("G-06", "guard", "guard"),
    find: "if (since !== undefined && nowMs - since > receiveMs)",
    replace: "if (since !== undefined && nowMs - since > 1e12)",
    why: "A request could take for ever to come.",
  },
  {
    id: "guard-taken",
    ...of("G-05", "guard", "guard"),
    find: "else if (agoMs > this.#guard.limits.takeMs)",
    replace: "else if (agoMs > 1e12)",
    why: "Answers that nobody takes would be kept.",
  },
  {
    id: "guard-strike",
    ...of("G-03", "guard", "guard"),
    find: "    if (this.#stream.rstCode !== constants.NGHTTP2_NO_ERROR) this.strike(now)\n",
    replace: "",
    why: "Calls that are taken back at once would cost their maker nothing.",
  },
  {
    id: "guard-prove",
    ...of("G-11", "guard", "proof"),
    find: "      this.#prove()\n",
    replace: "",
    why: "A stream without requests would outlive its caller's rights.",
  },
  {
    id: "held-small",
    ...of("G-06", "held", "guard"),
    find: "bytes > SMALL_BYTES ? bytesMax * LARGE_SHARE : bytesMax",
    replace: "bytesMax",
    why: "A few large messages would keep all others out.",
  },
  {
    id: "held-caller",
    ...of("G-06", "held", "guard"),
    find: "if ((this.#ofOwner.get(owner) ?? 0) + bytes > callerBytesMax)",
    replace: "if ((this.#ofOwner.get(owner) ?? 0) + bytes > 1e15)",
    why: "One caller could have all that may be held.",
  },
  {
    id: "connections-all",
    ...of("G-06", "connections", "connections"),
    find: "this.#sockets.size >= connectionsMax",
    replace: "this.#sockets.size >= 1e9",
    why: "Connections would use up the files of the process.",
  },
  {
    id: "connections-address",
    ...of("G-06", "connections", "connections"),
    find: "(this.#ofNetwork.get(network) ?? 0) >= addressConnectionsMax",
    replace: "(this.#ofNetwork.get(network) ?? 0) >= 1e9",
    why: "One address could have all connections.",
  },
  {
    id: "connections-strangers",
    ...of("G-06", "connections", "connections"),
    find: "(this.#strangersOf.get(network) ?? 0) >= strangersMax",
    replace: "(this.#strangersOf.get(network) ?? 0) >= 1e9",
    why: "Whoever reaches the port could have as many connections as a gateway.",
  },
  {
    id: "connections-idle",
    ...of("G-06", "connections", "connections"),
    find: "connection.idleSinceMs < latest",
    replace: "connection.idleSinceMs < 0",
    why: "Connections that do nothing would stay for ten minutes.",
  },
  {
    id: "stream-prove",
    ...of("G-11", "stream", "proof"),
    find: "        await context.prove()\n",
    replace: "",
    why: "A stream would outlive its caller's certificate.",
  },
]
