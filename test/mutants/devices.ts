import type { Mutant } from "./mutant.ts"
import { mutantsOf } from "./rows.ts"

/** How devices are managed: streams of requests, and whom a client speaks to. */
export const DEVICES: readonly Mutant[] = [
  ...mutantsOf("src/server/wire.ts", "test/server/wire.test.ts", [
    [
      "map-key-twice",
      "a key twice",
      "if (keys.has(",
      "if (seen.length < 0 && keys.has(",
      "Of two labels with one key the last would win, unseen by whoever looked at the first.",
    ],
    [
      "map-entry-two-values",
      "an entry with two values",
      'if (seen.has(number)) this.#note("FIELD", path, "an entry with two keys or values")',
      "",
      "An entry could carry a value that nobody looks at.",
    ],
    [
      "map-entry-more",
      "more than key and value",
      'this.#note("FIELD", path, "an entry with more than key and value")',
      "void 0",
      "An entry could carry what nobody reads.",
    ],
    [
      "map-entry-uncounted",
      "more in an entry than",
      'let key = ""\n    while (reader.pos < end) {\n      this.#count(path)\n',
      'let key = ""\n    while (reader.pos < end) {\n',
      "A flood within maps would be built before it is refused.",
    ],
  ]),
  ...mutantsOf("src/server/client-stream.ts", "test/server/client-stream.test.ts", [
    [
      "stream-unchecked",
      "breaks a rule",
      'if (checked.kind === "invalid") throw placed(checked, (field) => where(position, field))',
      'if (checked.kind === "invalid") continue',
      "A request of a stream that breaks the schema would be passed over in silence.",
    ],
    [
      "stream-endless-drain",
      "SHUTTING_DOWN when the server drains while",
      '  draining.addEventListener("abort", stop, { once: true })\n',
      "",
      "A caller that sends for ever would hold up every shutdown.",
    ],
    [
      "stream-begins-draining",
      "begins while the server drains",
      "    if (draining.aborted) throw shuttingDown()\n",
      "",
      "A server that shuts down would take up new work.",
    ],
  ]),
  ...mutantsOf("src/server/client-stream.ts", "test/server/devices.test.ts", [
    [
      "stream-held-for-ever",
      "G-06",
      "        answered() // also of one that ends the call",
      "        if (position < 0) answered() // also of one that ends the call",
      "Imports that are refused would fill what a caller may have held, until the server is restarted.",
    ],
  ]),
  ...mutantsOf("src/client/target.ts", "test/client/target.test.ts", [
    [
      "target-number",
      "an IPv4 address",
      "HOST.test(host) && !IPV4.test(host)",
      "HOST.test(host)",
      "An address in numbers would be called, and fail for a reason that nobody understands.",
    ],
    ["target-host", "G-12", "HOST.test(host) &&", "", "What is no host would be looked up."],
  ]),
]
