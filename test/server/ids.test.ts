/** Names in requests: every field that holds one, in every request of the schema, now and later. */
import { globSync } from "node:fs"
import { resolve } from "node:path"
import {
  create,
  type DescField,
  type DescMessage,
  type DescService,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf"
import { reflect } from "@bufbuild/protobuf/reflect"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAdminClient } from "../../src/client/admin.ts"
import { AssayError, printable } from "../../src/errors.ts"
import { check } from "../../src/server/validate.ts"
import { decodeStrictly } from "../../src/server/wire.ts"
import { rejectsCode } from "../support/assert.ts"
import { inFolder, running } from "./fake.ts"

const test = suite("names in requests")

const isService = (value: unknown): value is DescService =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === "service"
const files = await Promise.all(globSync("src/gen/assay/**/*_pb.ts").map((file) => import(resolve(file))))
const requests = new Set(
  files
    .flatMap((file: object) => Object.values(file).filter(isService))
    .flatMap(({ methods }) => methods.map(({ input }) => input)),
)

/** Fields whose text is a name of ours. Ids of trust are digests, those of a stream's requests the caller's own. */
const NAMES = /^(id|device|policy|name|group|token|caller)$/
const isName = (schema: DescMessage, field: DescField): boolean =>
  field.fieldKind === "scalar" &&
  field.scalar === ScalarType.STRING &&
  NAMES.test(field.name) &&
  !schema.name.startsWith("VerifyStream")

/** Messages within a request, each by the field that leads to it. */
const within = (schema: DescMessage, seen = new Set<DescMessage>()): readonly DescMessage[] => {
  if (seen.has(schema)) return []
  seen.add(schema)
  const inner = schema.fields.flatMap(({ message }) =>
    message?.typeName.startsWith("assay.") ? [message] : [],
  )
  return [schema, ...inner.flatMap((one) => within(one, seen))]
}
const named = [...new Set([...requests].flatMap((schema) => within(schema)))].flatMap((schema) =>
  schema.fields.filter((field) => isName(schema, field)).map((field) => [schema, field] as const),
)

const hostile: [name: string, text: string][] = [
  ["a line feed", "device-1\nlevel=error"],
  ["a line feed at its end", "device-1\n"],
  ["a carriage return", "device-1\r"],
  ["a terminal's escape", "device-1\u001b[2J"],
  ["a NUL", "device-1\0"],
  ["a path", "../device-1"],
  ["a slash", "acme/device-1"],
  ["a backslash", "acme\\device-1"],
  ["a space", "device 1"],
  ["a quote", 'device"1'],
  ["a percent sign", "device%2f1"],
  ["a Cyrillic letter", "d\u0435vice-1"],
  ["a letter of full width", "\uff44evice-1"],
  ["a composed letter", "d\u00e9vice-1"],
  ["the same decomposed", "de\u0301vice-1"],
  ["a letter that is written from right to left", "device-\u202e1"],
  ["a character of no width", "device\u200b-1"],
  ["a capital", "Device-1"],
  ["a dot first", ".device"],
  ["a hyphen first, as a flag has it", "--device"],
  ["64 characters", "g".repeat(64)],
  ["64 kilobytes", "g".repeat(1 << 16)],
]
for (const [name, text] of hostile)
  test(`refuses G-12 ${name} in the name of a device, a policy, a group or a token, wherever a request has one`, () => {
    assert.ok(named.length > 20, `${named.length} fields`)
    for (const [schema, field] of named) {
      const message = reflect(schema, create(schema))
      message.set(field, text)
      const checked = check(schema, decodeStrictly(schema, toBinary(schema, message.message)))
      const where = `${schema.name}.${field.name}`
      if (checked.kind === "valid") assert.unreachable(`${where} may be ${JSON.stringify(text.slice(0, 20))}`)
      else
        assert.ok(
          [checked.error.location, ...checked.violations.map((one) => one.field)].includes(field.name),
          where,
        )
    }
  })

test("refuses G-12 names in one small line, that shows them escaped", () =>
  inFolder(async (folder) => {
    const server = await running({}, { admin: `unix:${folder}/admin.sock` })
    const admin = createAdminClient(`unix:${folder}/admin.sock`)
    for (const [, text] of hostile) {
      const error = await rejectsCode(() => admin.getDevice(text), "FIELD")
      assert.match(error.message, /^[\x20-\x7e…]{1,310}$/u)
    }
    assert.equal(server.seen, [])
    for (const line of server.lines) assert.ok(JSON.stringify(line).length < 1000)
    admin.close()
    await server.stop()
  }))
test("G-12 shows what callers sent escaped and cut, whoever shows it", () => {
  for (const [, text] of hostile) {
    const { message, location, actual, expected } = new AssayError("ID", text, {
      location: text,
      actual: text,
      expected: text,
    })
    for (const shown of [message, location, actual, expected, printable(text)])
      assert.match(shown ?? "", /^[\x20-\x7e]*…?$/u)
  }
})
test.run()
