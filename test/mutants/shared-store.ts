import type { Mutant } from "./mutant.ts"
import { mutantsOf } from "./rows.ts"

const CHOICE = mutantsOf("src/main/store.ts", "test/main/store.test.ts", [
  [
    "store-in-plaintext",
    "refuses to say anything",
    '  if (!plaintext) refusePlaintext("store", { kind, url })\n',
    "",
    "Whoever stands between could say which devices there are, and what is revoked.",
  ],
  [
    "replica-of-any-name",
    "a chain of the journal for each data folder",
    "  if (NAME.test(name)) return name\n",
    "  return name\n",
    "A replica could write another one's chain of the journal.",
  ],
])

const ADDRESS = mutantsOf("src/store/plaintext.ts", "test/store/engine/open.test.ts", [
  [
    "address-first-word",
    "last word",
    "searchParams.getAll(name).at(-1)",
    "searchParams.getAll(name).at(0)",
    "A parameter that the driver never looks at would vouch for TLS.",
  ],
  [
    "address-unreadable",
    "what only its driver reads",
    "  if (!URL.canParse(url))\n",
    "  if (!URL.canParse(url)) return\n  if (!URL.canParse(url))\n",
    "What this reads as no address at all, the driver reads as a host beyond this machine.",
  ],
])

const KEYS = mutantsOf("src/main/keys.ts", "test/main/store.test.ts", [
  [
    "keys-made-at-start",
    "the keys that were made once",
    "config.development ? ensure() : read()",
    "ensure()",
    "A server on an empty database, or the wrong one, would make keys that nobody was told of.",
  ],
  [
    "device-ca-of-any-domain",
    "the keys that were made once",
    "  if (actual === expected) return authority\n",
    "  if (actual === expected || true) return authority\n",
    "Devices would be given identities of another trust domain than the settings say.",
  ],
])

const AGREEMENT = mutantsOf("src/main/engine.ts", "test/main/store.test.ts", [
  [
    "engine-beside-the-store",
    "has the engine where the store is",
    'store.kind === "postgres" ? "postgres" : "memory"',
    '"memory"',
    "Replicas of one store would take no challenge of each other.",
  ],
])

const SETTINGS = mutantsOf("src/config.ts", "test/config/engine.test.ts", [
  [
    "password-in-half-a-url",
    "with a password in the file",
    'return value.includes("@")',
    "return false",
    "A password that only the driver sees would be taken from a file that anybody may read.",
  ],
])

const CHECK = mutantsOf("src/main/check.ts", "test/main/check.test.ts", [
  [
    "checked-engine-in-plaintext",
    "where replicas would find what they share",
    '  if (!settings.plaintext) refusePlaintext("engine", settings)\n',
    "",
    "A check would accept settings that a server does not start with.",
  ],
])

const MAKER = mutantsOf("src/main/trust.ts", "test/main/trust.test.ts", [
  [
    "software-maker-comes-back",
    "not again where it was taken away",
    "  else if ((await ports.trust.trustState(TENANT)).generation > 0) return\n",
    "",
    "What an operator no longer trusts would be trusted again after a restart.",
  ],
])

/** A store that replicas share, and the keys in it. */
export const SHARED_STORE: readonly Mutant[] = [
  ...CHOICE,
  ...ADDRESS,
  ...KEYS,
  ...AGREEMENT,
  ...SETTINGS,
  ...CHECK,
  ...MAKER,
  {
    id: "shared-key-replaced",
    named: "leaves a key alone",
    covers: [],
    file: "src/store/service-keys.ts",
    find: "conflict.doNothing()",
    replace: 'conflict.column("name").doUpdateSet({ pem: at("pem") })',
    tests: ["test/store/service-keys.test.ts"],
    why: "Each init would make a new key, and half of what replicas issued would not be believed.",
  },
  {
    id: "shared-key-not-read-back",
    named: "count as whoever was first made them",
    covers: [],
    file: "src/keys/shared.ts",
    find: "      await keys.putIfAbsent(name, utf8(encode(await make())))\n",
    replace:
      "      const made = await make()\n      await keys.putIfAbsent(name, utf8(encode(made)))\n      if (made) return made\n",
    tests: ["test/keys/shared.test.ts"],
    why: "Of replicas that start together each would sign with a key of its own.",
  },
  {
    id: "nudges-by-the-engine",
    named: "which brings another engine",
    covers: [],
    file: "src/main/engine.ts",
    find: "  return shared === undefined ? engine : ",
    replace: "  return shared !== undefined ? engine : ",
    tests: ["test/e2e/shared-store.test.ts"],
    why: "Replicas would only hear at their next look of what another one committed.",
  },
  {
    id: "store-away-unsaid",
    named: "while PostgreSQL is away",
    covers: ["S-03"],
    file: "src/main/trust.ts",
    find: '    return "what is trusted cannot be read"\n',
    replace: '    throw new Error("what is trusted cannot be read")\n',
    tests: ["test/e2e/shared-store.test.ts"],
    why: "Readiness would not say that it is the database that is away.",
  },
  {
    id: "engine-of-no-store",
    named: "PostgreSQL without a URL",
    covers: [],
    file: "src/config/schema.ts",
    find: '(url ?? urlFile) !== undefined || store.kind === "postgres"',
    replace: "(url ?? urlFile) !== undefined || store !== undefined",
    tests: ["test/config/engine.test.ts"],
    why: "A server would start that finds its engine nowhere.",
  },
]
