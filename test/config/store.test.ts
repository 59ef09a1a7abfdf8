import { suite } from "uvu"
import * as assert from "uvu/assert"
import { readConfig } from "../../src/config.ts"
import { throwsCode } from "../support/assert.ts"

const test = suite("the store's settings")

test("keeps everything in a file unless told otherwise", () => {
  assert.equal(readConfig({}, {}, undefined).store, { kind: "sqlite", schema: "assay", plaintext: false })
})

const accepted: [what: string, environment: Record<string, string>, document: string][] = [
  ["PostgreSQL at a URL", {}, "store: {kind: postgres, url: 'postgres://assay@db/assay', schema: own_1}"],
  ["a URL in a file", {}, "store: {kind: postgres, urlFile: /run/secrets/url}"],
  [
    "a URL with a password from the environment",
    { ASSAY_STORE_URL: "postgres://assay:secret@127.0.0.1/assay" },
    "store: {kind: postgres}",
  ],
  ["a file from the environment", { ASSAY_STORE: "postgres", ASSAY_STORE_URL_FILE: "/run/secrets/url" }, ""],
]
for (const [what, environment, document] of accepted)
  test(`accepts ${what}`, () => {
    assert.is(readConfig({}, environment, document).store.kind, "postgres")
  })

const refused: [what: string, location: string, document: string][] = [
  ["a file with a URL", "store.kind", "store: {url: 'postgres://127.0.0.1/assay'}"],
  ["a file with a file", "store.kind", "store: {kind: sqlite, urlFile: /url}"],
  ["PostgreSQL without a URL", "store.url", "store: {kind: postgres}"],
  ["a URL and a file", "store.url", "store: {kind: postgres, url: 'postgres://127.0.0.1', urlFile: /url}"],
  ["another kind", "store.kind", "store: {kind: mysql, url: 'mysql://127.0.0.1'}"],
  ["a schema that would have to be quoted", "store.schema", "store: {schema: 'Assay'}"],
  ["what it does not know", "store.host", "store: {host: db}"],
]
for (const [what, location, document] of refused)
  test(`refuses ${what}`, () => {
    assert.is(throwsCode(() => readConfig({}, {}, document), "INPUT").location, location)
  })

for (const url of ["postgres://a:hunter2@db/a", "postgres:///a?host=/run&password=hunter2"])
  test(`refuses a URL with a password in the file, and repeats nothing of it: ${url.length}`, () => {
    const { location, message } = throwsCode(
      () =>
        readConfig({}, { ASSAY_STORE_URL: "postgres://127.0.0.1" }, `store: {kind: postgres, url: '${url}'}`),
      "INPUT",
    )
    assert.is(location, "store.url")
    assert.not.ok(message.includes("hunter2"))
  })

test.run()
