import { spawnSync } from "node:child_process"
import { existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer as createNetServer } from "node:net"
import pino from "pino"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAdminClient } from "../../src/client/admin.ts"
import { createAttestationClient } from "../../src/client/attestation.ts"
import { checkAddress } from "../../src/server/listen.ts"
import { createServer } from "../../src/server/server.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { fakeService, inFolder, running } from "./fake.ts"

const test = suite("listen")

const refused: string[] = [
  "0.0.0.0:50051",
  "[::]:50051",
  "10.0.0.1:50051",
  "192.168.1.1:50051",
  "8.8.8.8:50051",
  "128.0.0.1:50051",
  "[::ffff:127.0.0.1]:50051",
  "[::2]:50051",
  "[fe80::1%lo]:50051",
  "[0:0:0:0:0:0:0:1]:50051",
  "::1:50051",
  "*:50051",
  ":50051",
  "50051",
  "",
  "example.com:50051",
  "localhost.example.com:50051",
  "127.0.0.1.example.com:50051",
  "LOCALHOST:50051",
  "127.1:50051",
  "0177.0.0.1:50051",
  "0x7f.0.0.1:50051",
  "2130706433:50051",
  "127.0.0.256:50051",
  "127.0.0.1",
  "127.0.0.1:",
  "127.0.0.1:65536",
  "127.0.0.1:-1",
  "127.0.0.1:080",
  "127.0.0.1:50051 ",
  "127.0.0.1:50051\n",
  "127.0.0.1:50051,10.0.0.1:50051",
  "dns:127.0.0.1:50051",
  "ipv4:10.0.0.1:50051",
  "http://127.0.0.1:50051",
  "unix:relative.sock",
  "unix:",
  "unix:/",
  "unix://host/path",
  "unix:///path",
  "unix-abstract:name",
  "unix:/a\0b",
  "/tmp/path.sock",
]
for (const address of refused)
  test(`refuses ${JSON.stringify(address)} before anything is opened`, () => {
    throwsCode(() => checkAddress(address, true), "INPUT")
    throwsCode(() => createAttestationClient(address), "INPUT")
    throwsCode(() => configured({ listen: [address] }), "INPUT")
  })
const accepted: [text: string, target: string][] = [
  ["127.0.0.1:50051", "ipv4:127.0.0.1:50051"],
  ["127.255.255.254:1", "ipv4:127.255.255.254:1"],
  ["localhost:0", "ipv4:127.0.0.1:0"],
  ["[::1]:65535", "ipv6:[::1]:65535"],
  ["unix:/run/assay/public.sock", "unix:/run/assay/public.sock"],
]
for (const [text, target] of accepted)
  test(`accepts ${text} without a look-up of names`, () => assert.is(checkAddress(text, true).target, target))

const configured = (changes: {
  listen?: string[]
  admin?: string
  development?: boolean
  anonymous?: boolean
}) =>
  createServer({
    service: fakeService([]),
    log: pino({ enabled: false }),
    listen: [],
    admin: undefined,
    credentials: [],
    reflection: false,
    development: true,
    ...changes,
  })

test("refuses TCP outside of development mode", () => {
  throwsCode(() => checkAddress("127.0.0.1:50051", false), "INPUT")
  throwsCode(() => configured({ listen: ["localhost:0"], development: false }), "INPUT")
})
test("refuses TCP for administration in every mode", () => {
  throwsCode(() => configured({ admin: "127.0.0.1:0" }), "INPUT")
})
test("refuses a path that does not fit into the address of a socket", () => {
  throwsCode(() => checkAddress(`unix:/${"a".repeat(107)}`, true), "INPUT")
  throwsCode(() => checkAddress(`unix:/${"a".repeat(100)}/b`, true), "INPUT")
  throwsCode(() => checkAddress(`unix:/${"ä".repeat(60)}`, true), "INPUT")
})

const modeOf = (path: string): string => (lstatSync(path).mode & 0o777).toString(8)
test("makes the administration socket for its owner alone, and removes its files at the end", () =>
  inFolder(async (folder) => {
    const server = configured({
      listen: [`unix:${folder}/public.sock`],
      admin: `unix:${folder}/admin.sock`,
      development: false,
      anonymous: true,
    })
    assert.equal(await server.start(), [`unix:${folder}/public.sock`, `unix:${folder}/admin.sock`])
    assert.is(modeOf(`${folder}/admin.sock`), "600")
    assert.is(modeOf(`${folder}/public.sock`), "660")
    assert.equal(readdirSync(folder).sort(), ["admin.sock", "public.sock"])
    const admin = createAdminClient(`unix:${folder}/admin.sock`)
    assert.is((await admin.getDevice("device-1")).device?.id, "device-1")
    admin.close()
    const publicly = createAdminClient(`unix:${folder}/public.sock`)
    await rejectsCode(() => publicly.getDevice("device-1"), "PERMISSION")
    publicly.close()
    await server.stop()
    assert.equal(readdirSync(folder), [])
  }))
test("replaces a socket that a dead server left", () =>
  inFolder(async (folder) => {
    const path = `${folder}/s.sock`
    const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`
    spawnSync(process.execPath, ["-e", script])
    assert.ok(existsSync(path))
    const server = configured({ listen: [`unix:${path}`] })
    await server.start()
    const client = createAttestationClient(`unix:${path}`)
    await client.getEpoch()
    client.close()
    await server.stop()
  }))
test("refuses a socket that somebody listens on, and leaves it alone", () =>
  inFolder(async (folder) => {
    const path = `${folder}/s.sock`
    const first = configured({ listen: [`unix:${path}`] })
    await first.start()
    await rejectsCode(() => configured({ listen: [`unix:${path}`] }).start(), "INPUT")
    const client = createAttestationClient(`unix:${path}`)
    await client.getEpoch()
    client.close()
    await first.stop()
  }))
test("refuses a path with a file that is no socket, and leaves it alone", () =>
  inFolder(async (folder) => {
    writeFileSync(`${folder}/file`, "kept")
    await rejectsCode(() => configured({ listen: [`unix:${folder}/file`] }).start(), "INPUT")
    assert.is(readFileSync(`${folder}/file`, "utf8"), "kept")
  }))
test("refuses a folder that is not there", () =>
  inFolder(async (folder) => {
    await rejectsCode(() => configured({ listen: [`unix:${folder}/absent/s`] }).start(), "INPUT")
  }))
test("listens on all addresses or on none", () =>
  inFolder(async (folder) => {
    const taken = createNetServer()
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve))
    const address = taken.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const quiet = console.error
    console.error = () => {} // grpc-js reports it there as well
    try {
      const server = configured({ listen: [`unix:${folder}/s.sock`, `127.0.0.1:${port}`] })
      await rejectsCode(() => server.start(), "INPUT")
    } finally {
      console.error = quiet
      taken.close()
    }
    assert.equal(readdirSync(folder), [])
  }))
test("does not remove a socket that another server put in the place of its own", () =>
  inFolder(async (folder) => {
    const path = `${folder}/s.sock`
    const first = configured({ listen: [`unix:${path}`] })
    await first.start()
    spawnSync("rm", [path])
    const second = configured({ listen: [`unix:${path}`] })
    await second.start()
    await first.stop()
    const client = createAttestationClient(`unix:${path}`)
    await client.getEpoch()
    client.close()
    await second.stop()
  }))
test("serves IPv4 and IPv6 loopback at a time", async () => {
  const server = await running({}, { listen: ["127.0.0.1:0", "[::1]:0"] })
  for (const address of server.addresses) {
    const client = createAttestationClient(address)
    await client.getEpoch()
    client.close()
  }
  assert.equal(
    server.seen.map(({ caller }) => caller.id.replace(/:\d+$/, "")),
    ["local:127.0.0.1", "local:::1"],
  )
  await server.stop()
})
test.run()
