import { suite } from "uvu"
import * as assert from "uvu/assert"
import { readConfig } from "../../src/config.ts"
import { throwsCode } from "../support/assert.ts"

const test = suite("the engine's settings")

const accepted: [what: string, environment: Record<string, string>, document: string][] = [
  ["Redis at a URL", {}, "engine: {kind: redis, url: 'redis://127.0.0.1:6379/1'}"],
  ["Redis at a socket", {}, "engine: {kind: redis, url: 'unix:/run/redis.sock'}"],
  ["PostgreSQL at a URL", {}, "engine: {kind: postgres, url: 'postgres://assay@db/assay', schema: own_1}"],
  ["a URL in a file", {}, "engine: {kind: postgres, urlFile: /run/secrets/url}"],
  [
    "a URL with a password from the environment",
    { ASSAY_ENGINE_URL: "redis://:secret@127.0.0.1" },
    "engine: {kind: redis}",
  ],
  [
    "PostgreSQL at the store's URL",
    {},
    "{store: {kind: postgres, url: 'postgres://db/assay'}, engine: {kind: postgres}}",
  ],
  ["a file from the environment", { ASSAY_ENGINE: "redis", ASSAY_ENGINE_URL_FILE: "/run/secrets/url" }, ""],
]
for (const [what, environment, document] of accepted)
  test(`accepts ${what}`, () => {
    assert.is.not(readConfig({}, environment, document).engine.kind, "memory")
  })

const refused: [what: string, location: string, document: string][] = [
  ["memory with a URL", "engine.kind", "engine: {url: 'redis://127.0.0.1'}"],
  ["memory with a file", "engine.kind", "engine: {kind: memory, urlFile: /url}"],
  ["Redis without a URL", "engine.url", "engine: {kind: redis}"],
  ["PostgreSQL without a URL", "engine.url", "engine: {kind: postgres}"],
  [
    "PostgreSQL without a URL beside a file",
    "engine.url",
    "{store: {kind: sqlite}, engine: {kind: postgres}}",
  ],
  [
    "Redis without a URL beside PostgreSQL",
    "engine.url",
    "{store: {kind: postgres, url: 'postgres://db/assay'}, engine: {kind: redis}}",
  ],
  ["a URL and a file", "engine.url", "engine: {kind: redis, url: 'redis://127.0.0.1', urlFile: /url}"],
  ["another kind", "engine.kind", "engine: {kind: nats, url: 'nats://127.0.0.1'}"],
  ["a schema that would have to be quoted", "engine.schema", "engine: {schema: 'Assay'}"],
  ["no bound of the clock", "clock.boundSeconds", "clock: {boundSeconds: 0}"],
  ["an hour as the clock's bound", "clock.boundSeconds", "clock: {boundSeconds: 3600}"],
]
for (const [what, location, document] of refused)
  test(`refuses ${what}`, () => {
    assert.is(throwsCode(() => readConfig({}, {}, document), "INPUT").location, location)
  })

for (const url of [
  "redis://:hunter2@127.0.0.1",
  "postgres://a:hunter2@db/a",
  "postgres:///a?host=/run&password=hunter2",
  "postgres://a:hunter2@/a?host=db",
])
  test(`refuses ${url.split(":")[0]} with a password in the file, and repeats nothing of it: ${url.length}`, () => {
    const { location, message } = throwsCode(
      () => readConfig({}, { ASSAY_ENGINE_URL: "redis://127.0.0.1" }, `engine: {kind: redis, url: '${url}'}`),
      "INPUT",
    )
    assert.is(location, "engine.url")
    assert.not.ok(message.includes("hunter2"))
  })

test.run()
