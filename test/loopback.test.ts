import { suite } from "uvu"
import * as assert from "uvu/assert"
import { loopbackHost } from "../src/loopback.ts"

const test = suite("loopbackHost")

for (const [text, host] of [
  ["127.0.0.1", "127.0.0.1"],
  ["127.255.0.9", "127.255.0.9"],
  ["localhost", "127.0.0.1"],
  ["::1", "::1"],
  ["[::1]", "::1"],
] as const)
  test(`accepts ${text}`, () => assert.is(loopbackHost(text), host))

for (const text of [
  "",
  "0.0.0.0",
  "::",
  "10.0.0.1",
  "128.0.0.1",
  "127.0.0.256",
  "127.0.0.01",
  "127.0.0",
  "127.1",
  "0x7f000001",
  "2130706433",
  "0177.0.0.1",
  "127.0.0.1.example.org",
  "127.0.0.1\n",
  " 127.0.0.1",
  "localhost.",
  "LOCALHOST",
  "localhost.localdomain",
  "::ffff:127.0.0.1",
  "::1%lo",
  "0:0:0:0:0:0:0:1",
])
  test(`refuses ${JSON.stringify(text)}`, () => assert.is(loopbackHost(text), undefined))

test.run()
