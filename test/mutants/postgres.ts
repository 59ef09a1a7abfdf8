import type { Mutant } from "./mutant.ts"
import { mutantsOf } from "./rows.ts"

const inStore = (name: string): string => `test/store/postgres-${name}.test.ts`

const SERVER = mutantsOf("src/store/postgres-server.ts", inStore("server"), [
  [
    "postgres-version",
    "S-02",
    "(version) => Number(version) >= VERSION_MIN",
    '(version) => version !== ""',
    "A server that nobody has looked into would be relied on.",
  ],
  [
    "postgres-standby",
    "S-02",
    '(standby) => standby === "false"',
    '(standby) => standby !== ""',
    "A standby may not have heard of what was spent, or revoked.",
  ],
  [
    "postgres-without-fsync",
    "S-02",
    '(fsync) => fsync === "on"',
    '(fsync) => fsync !== ""',
    "A server could forget what it acknowledged.",
  ],
  [
    "postgres-torn-pages",
    "S-02",
    '(writes) => writes === "on"',
    '(writes) => writes !== ""',
    "A server could come back with half of what it wrote.",
  ],
  [
    "postgres-commits-later",
    "S-02",
    '["on", "local", "remote_write", "remote_apply"].includes(commit)',
    'commit !== ""',
    "A server could forget what it acknowledged.",
  ],
])

const MIGRATION = mutantsOf("src/store/postgres-migrate.ts", inStore("migrate"), [
  [
    "postgres-later-schema",
    "S-03",
    "version < 1 || version > latest",
    "version < 1",
    "What a later version means by its tables would be guessed.",
  ],
  [
    "postgres-no-version",
    "S-03",
    "version < 1 || version > latest",
    "version > latest",
    "A schema that lost its version would be made anew over what is there.",
  ],
  [
    "postgres-alien-schema",
    "S-03",
    '.some(({ relname }) => relname === "schema_version")',
    ".some(() => true)",
    "Another program's tables would be taken for Assay's.",
  ],
  [
    "postgres-upgrade-over-writers",
    "S-09",
    '    await client.query("LOCK TABLE schema_version IN ACCESS EXCLUSIVE MODE")\n',
    "",
    "A replica of an earlier version would write into tables that mean something else by then.",
  ],
  [
    "postgres-upgrade-twice",
    "makes its tables once",
    '  await client.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 2))", [name])\n',
    "",
    "Of replicas that start together all but one would fail.",
  ],
])

const ENCODING = mutantsOf("src/store/postgres-migrate.ts", inStore("server"), [
  [
    "postgres-encoding",
    "cannot keep every text",
    'facts["encoding"] === "UTF8"',
    'facts["encoding"] !== ""',
    "Texts would come back as others than they were stored.",
  ],
])

const DATABASE = mutantsOf("src/store/postgres-database.ts", inStore("database"), [
  [
    "postgres-undone-commit",
    "commits nothing of work that does not mind",
    'if (command !== "COMMIT")',
    'if (command === "")',
    "What the server undid would be taken for written.",
  ],
  [
    "postgres-in-the-way",
    "S-03",
    'const IN_THE_WAY = ["40001", "40P01"]',
    "const IN_THE_WAY: string[] = []",
    "Two changes that meet would fail although nothing is wrong.",
  ],
  [
    "postgres-wrapped-failure",
    "S-03",
    " || isInTheWay(error.cause)",
    "",
    "A change that met another while its record was written would fail although nothing is wrong.",
  ],
  [
    "postgres-endless-attempts",
    "S-03",
    "const ATTEMPTS_MAX = 4",
    "const ATTEMPTS_MAX = 6",
    "A store that cannot write would be written to without end.",
  ],
  [
    "postgres-two-states",
    "reads one state",
    "ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "ISOLATION LEVEL READ COMMITTED READ ONLY",
    "A snapshot could be of two states: anchors of one, revocation lists of the other.",
  ],
])

const VERSIONS = mutantsOf("src/store/postgres-database.ts", inStore("migrate"), [
  [
    "postgres-other-version",
    "S-09",
    "if (version !== schemaVersion)",
    "if (version === undefined)",
    "A replica would go on with tables that were upgraded under it.",
  ],
])

const POOL = mutantsOf("src/store/postgres-pool.ts", inStore("database"), [
  [
    "postgres-reads-write",
    "writes nothing where only reading",
    'default_transaction_read_only: "on"',
    'default_transaction_read_only: "off"',
    "Half of a transaction that did not begin would be written.",
  ],
  [
    "postgres-no-statement-timeout",
    "only took too long",
    "statement_timeout: String(STATEMENT_MS)",
    'statement_timeout: "0"',
    "A server would go on with what nobody waits for any more.",
  ],
])

const KEPT = mutantsOf("src/store/schema-postgres-parts.ts", inStore("kept"), [
  [
    "postgres-rows-change",
    "S-03",
    "FOR EACH ROW`, reason)\n\n/** Rows",
    "FOR EACH ROW WHEN (false)`, reason)\n\n/** Rows",
    "A record of the journal could be written anew.",
  ],
  [
    "postgres-rows-go",
    "S-03",
    "FOR EACH ROW`, reason) + keepTable",
    "FOR EACH ROW WHEN (false)`, reason) + keepTable",
    "A policy's document could be deleted.",
  ],
  [
    "postgres-tables-go",
    "S-03",
    '=>\n  refused(table, "truncate", ',
    '=>\n  "" && refused(table, "truncate", ',
    "The whole journal could be deleted at once.",
  ],
  [
    "postgres-numbers-come-back",
    "S-03",
    "} <= OLD.",
    "} + 9 < OLD.",
    "What was decided under one generation of trust would pass for another.",
  ],
  [
    "postgres-checks-nothing",
    "S-03",
    "} THEN\n    RETURN",
    "} OR true THEN\n    RETURN",
    "A record could be left out, or removed, and nobody would miss it.",
  ],
])

const FENCE = mutantsOf("src/store/fence.ts", inStore("races"), [
  [
    "fence-never-closed",
    "S-04",
    ': sql.raw("pg_advisory_xact_lock")',
    ': sql.raw("pg_advisory_xact_lock_shared")',
    "A policy could change between the look at it and the commit of what was judged by it.",
  ],
])

const COMMITS = mutantsOf("src/store/held-devices.ts", inStore("races"), [
  [
    "commit-beside-the-fence",
    "S-04",
    "...tenants.map((tenant) => shareFence({ tenant })), ",
    "",
    "What an operator is just taking back would still let a device in.",
  ],
  [
    "commit-without-lock",
    "S-04",
    ", ...names.map(lockDevice)]",
    "]",
    "Of two replicas the one that heard of an earlier boot would have the last word.",
  ],
])

const IMPORTS = mutantsOf("src/store/trust.ts", inStore("races"), [
  [
    "import-without-lock",
    "S-04",
    "        yield* ask(lockTrust({ tenant }))\n        const before",
    "        const before",
    "Two imports that were compared with the same trust would both pass.",
  ],
])

/** The store that replicas share. */
export const POSTGRES: readonly Mutant[] = [
  ...SERVER,
  ...MIGRATION,
  ...ENCODING,
  ...DATABASE,
  ...VERSIONS,
  ...POOL,
  ...KEPT,
  ...FENCE,
  ...COMMITS,
  ...IMPORTS,
]
