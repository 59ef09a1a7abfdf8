import { globSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"

/** The core: it has no clock, no randomness and no I/O. */
const CORE = ["bytes", "errors", "evidence", "verification", "appraisal", "result"]
const OF_ALL = ["bytes", "errors"]

/** Which room may import which others; `style-by-example.md`'s table as data. `main` and `config` meet everything. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  bytes: [],
  errors: [],
  addresses: [],
  texts: [],
  reload: ["errors"],
  tls: ["errors", "reload"],
  jwt: [...OF_ALL, "evidence"],
  rpc: ["errors", "addresses"],
  config: ["errors", "faults"],
  faults: ["service"],
  evidence: OF_ALL,
  verification: [...OF_ALL, "evidence"],
  appraisal: [...OF_ALL, "evidence", "verification"],
  result: [...OF_ALL, "evidence", "verification", "appraisal"],
  service: CORE,
  server: [...CORE, "service", "gen", "rpc", "addresses", "texts", "reload", "tls", "jwt"],
  store: [...CORE, "service", "addresses", "texts"],
  cache: [...CORE, "service"],
  keys: [...CORE, "service"],
  web: [...CORE, "service", "addresses", "reload", "tls"],
  workers: ["errors"],
  cli: [...CORE, "service", "gen", "rpc", "config"],
  device: [...OF_ALL, "evidence", "gen", "rpc"],
  client: [...OF_ALL, "evidence", "gen", "rpc", "jwt"],
  gen: [],
  main: [],
}

/** What the core must not reach: modules, and names that need no import. */
const OUTSIDE =
  /^node:(fs|net|http|https|http2|dns|os|child_process|timers|worker_threads|process|cluster)|^pino$|^@grpc\//
const IMPURE =
  /\b(Date\.now|new Date\(\)|performance\.|process\.|randomBytes|randomUUID|Math\.random|setTimeout|setInterval|console\.|fetch\()/
/** Only the edge knows protobuf and gRPC. */
const PROTOBUF = /^@bufbuild\/protobuf|^@grpc\//
const PROTOBUF_ROOMS = ["rpc", "server", "device", "client", "cli", "gen"]
/** KeyObjects of attesters are made in one room. */
const PURE_ROOMS = CORE

/** Who looks at bytes through a view: the one reader of what others have sent, and what is ours from one thread to the other. */
const VIEWS: readonly string[] = [
  "src/evidence/reader.ts",
  "src/verification/journal/parts.ts",
  "src/verification/journal/parts-reader.ts",
]

const roomOf = (file: string): string => {
  const [, room = ""] = /^src\/([^/]+?)(?:\.ts$|\/)/.exec(file) ?? []
  return room
}

const importsOf = (source: string): string[] =>
  [
    ...source.matchAll(
      /(?:^|\n)\s*(?:import|export)\b[^"'`]*?from\s*["']([^"']+)["']|import\s*\(?\s*["']([^"']+)["']/g,
    ),
  ].map((match) => match[1] ?? match[2] ?? "")

/** Every way in which `source`, as the file's text, breaks the table. */
const violationsOf = (file: string, source: string): string[] => {
  const room = roomOf(file)
  const allowed = ROOMS[room]
  if (allowed === undefined) return [`${file}: no such room`]
  const code = source.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "")
  const violations = importsOf(source).flatMap((name) => {
    if (name.startsWith(".")) {
      const other = roomOf(normalize(join(dirname(file), name)))
      const meets = other === room || room === "main" || allowed.includes(other)
      return meets ? [] : [`${file}: ${room} imports ${other}`]
    }
    if (PURE_ROOMS.includes(room) && OUTSIDE.test(name)) return [`${file}: the core imports ${name}`]
    if (PROTOBUF.test(name) && !PROTOBUF_ROOMS.includes(room)) return [`${file}: ${room} imports ${name}`]
    return []
  })
  if (/\bvouch\b/.test(code) && room !== "verification") violations.push(`${file}: only verification vouches`)
  if (/\bnew DataView\b/.test(code) && !VIEWS.includes(file)) violations.push(`${file}: only Reader reads`)
  const impure = PURE_ROOMS.includes(room) ? IMPURE.exec(code) : null
  if (impure !== null) violations.push(`${file}: the core reaches outside: ${impure[0]}`)
  return violations
}

const test = suite("rooms")

test("every import of every file fits the table", () => {
  const files = globSync("src/**/*.ts").filter((file) => !file.startsWith("src/gen/"))
  assert.ok(files.length > 30)
  assert.equal(
    files.flatMap((file) => violationsOf(file, readFileSync(file, "utf8"))),
    [],
  )
})

const planted: readonly [name: string, file: string, source: string][] = [
  ["an adapter that imports another", "src/store/x.ts", 'import { y } from "../server/y.ts"'],
  [
    "a rule that reads bytes from the edge",
    "src/appraisal/rules/x.ts",
    'import { z } from "../../gen/assay/v1/result_pb.ts"',
  ],
  [
    "evidence that asks for trust",
    "src/evidence/x.ts",
    'import { createAttestationKey } from "../verification/key.ts"',
  ],
  [
    "a service that knows an adapter",
    "src/service/x.ts",
    'import { openSqliteStore } from "../store/sqlite.ts"',
  ],
  ["a core that reads a file", "src/verification/x.ts", 'import { readFileSync } from "node:fs"'],
  ["a core with a clock", "src/appraisal/x.ts", "export const now = () => Date.now()"],
  ["a core with randomness", "src/result/x.ts", "export const id = () => Math.random()"],
  ["a result that knows protobuf", "src/result/x.ts", 'import { create } from "@bufbuild/protobuf"'],
  ["somebody else who vouches", "src/appraisal/x.ts", 'import { vouch } from "../verification/verified.ts"'],
  ["a second reader", "src/evidence/x.ts", "export const view = (b: ArrayBuffer) => new DataView(b)"],
  ["a dynamic import of another adapter", "src/cli/x.ts", 'const s = await import("../server/server.ts")'],
  ["a re-export of another adapter", "src/client/x.ts", 'export { start } from "../server/server.ts"'],
  ["a room that nobody drew", "src/helpers/x.ts", ""],
]
for (const [name, file, source] of planted)
  test(`notices ${name}`, () => assert.is(violationsOf(file, source).length > 0, true))

test.run()
