import { suite } from "uvu"
import * as assert from "uvu/assert"
import { hostAndPort, hostText, isPrivateHost, loopbackHost, networkOf } from "../src/addresses.ts"

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

const addresses: [text: string, host: string, port: number][] = [
  ["localhost:0", "127.0.0.1", 0],
  ["127.0.0.1:7400", "127.0.0.1", 7400],
  ["0.0.0.0:443", "0.0.0.0", 443],
  ["203.0.113.7:65535", "203.0.113.7", 65535],
  ["[::1]:1", "::1", 1],
  ["[::]:1", "::", 1],
  ["[2001:db8::7]:1", "2001:db8::7", 1],
]
for (const [text, host, port] of addresses)
  test(`reads ${text}`, () => assert.equal(hostAndPort(text), { host, port }))

for (const text of [
  "",
  "7400",
  ":7400",
  "0.0.0.0",
  "0.0.0.0:",
  "0.0.0.0:65536",
  "0.0.0.0:080",
  "0.0.0.0:-1",
  " 0.0.0.0:1",
  "0.0.0.0:1\n",
  "*:1",
  "::1:1",
  "[::1]",
  "[2001:DB8::7]:1",
  "[2001:db8:0:0:0:0:0:7]:1",
  "[::ffff:10.0.0.1]:1",
  "[::ffff:a00:1]:1",
  "[fe80::1%eth0]:1",
  "[10.0.0.1]:1",
  "10.0.0.256:1",
  "10.0.0.01:1",
  "10.1:1",
  "0x0a000001:1",
  "assay.example:1",
  "user@10.0.0.1:1",
  "http://10.0.0.1:1",
])
  test(`refuses ${JSON.stringify(text)} for an address`, () => assert.is(hostAndPort(text), undefined))

for (const host of [
  "127.0.0.1",
  "::1",
  "10.0.0.1",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "100.64.0.1",
  "100.127.0.1",
  "169.254.1.1",
  "fd00::1",
  "fc12:3456::1",
  "fe80::1",
])
  test(`takes ${host} for private`, () => assert.ok(isPrivateHost(host)))
for (const host of [
  "0.0.0.0",
  "::",
  "8.8.8.8",
  "11.0.0.1",
  "172.15.0.1",
  "172.32.0.1",
  "192.169.0.1",
  "100.63.0.1",
  "100.128.0.1",
  "2001:db8::1",
  "fec0::1",
  "fd::1",
  "10.example",
  "",
])
  test(`takes ${host || "nothing"} for public`, () => assert.not.ok(isPrivateHost(host)))
test("writes a host before a port", () =>
  assert.equal([hostText("10.0.0.1"), hostText("::1")], ["10.0.0.1", "[::1]"]))

const networks: [address: string, network: string][] = [
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:db8:1:2::", "2001:db8:1:2"],
  ["2001:db8:1:2::6", "2001:db8:1:2"],
  ["2001:db8::6", "2001:db8:0:0"],
  ["::1", "0:0:0:0"],
  ["::", "0:0:0:0"],
  ["fe80::1%eth0", "fe80:0:0:0"],
  ["2001:db8::3:4:5:6", "2001:db8:0:0"],
]
for (const [address, network] of networks)
  test(`counts ${address} as of ${network}`, () => assert.is(networkOf(address), network))

test.run()
