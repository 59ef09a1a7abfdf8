/** Three replicas in processes of their own, on PostgreSQL and Redis, behind nginx as `deploy/nginx.conf` sets it up. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer, connect as toPort } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { utf8 } from "../../src/bytes.ts"
import { createAdminClient } from "../../src/client/admin.ts"
import { type AttestationClient, createAttestationClient } from "../../src/client/attestation.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import { AnchorPurpose, AnchorRevocation } from "../../src/gen/assay/v1/trust_pb.ts"
import { pem, SERVER_AUTHORITY, writeAuthorities, writeServer } from "../support/callers.ts"
import { startProcess } from "../support/server-process.ts"
import { TEST_ANCHOR } from "../support/service.ts"
import { makeIssuer, tokenOf } from "../support/tokens.ts"
import { assayHere } from "./programs.ts"
import { type ServerProcess, serve } from "./server.ts"

/** Where replicas keep what they share. */
export interface Shared {
  /** URL of an empty database. */
  readonly store: string
  /** URL of Redis. */
  readonly engine: string
}

/** Replicas that serve, and the one address that they are called by. */
export interface BehindNginx {
  readonly replicas: readonly ServerProcess[]
  /** Process of nginx, its workers below it. */
  readonly nginx: number
  /** Where nginx listens. */
  readonly address: string
  /** A gateway with a connection of its own, known by a signed token that nginx passes on. */
  client(): AttestationClient
  stop(): Promise<void>
}

const REPLICAS = 3
const TEMPLATE = fileURLToPath(new URL("../../deploy/nginx.conf", import.meta.url))
/** Of the form that needs no stretching. */
const PASSPHRASE = `random-256-bit.${"n".repeat(43)}`
const GATEWAY = { issuer: "https://idp.example", audience: "assay" } as const
const TOKEN_SECONDS = 3600

/** Writes what a replica is configured by, outside of development mode. Gives the path. */
const writeConfig = (folder: string, { store, engine }: Shared, keys: string): string => {
  const path = join(folder, "assay.yaml")
  const document = {
    data: join(folder, "data"),
    issuer: "https://assay.example",
    listen: [{ address: "127.0.0.1:0", tls: writeServer(folder) }],
    key: { passphraseFile: join(folder, "passphrase") },
    store: { kind: "postgres", url: store },
    engine: { kind: "redis", url: engine },
    tokenIssuers: [{ name: "idp", ...GATEWAY, keys, role: "gateway" }],
    rates: { source: { perSecond: 100_000, burst: 200_000 }, connection: { perSecond: 2000, burst: 20_000 } },
    logLevel: "info",
  }
  writeFileSync(join(folder, "passphrase"), PASSPHRASE, { mode: 0o600 })
  writeFileSync(path, JSON.stringify(document))
  return path
}

/** A port that nobody listens on. */
const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

const isOpen = (port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = toPort(port, "127.0.0.1")
    socket.once("error", reject).once("connect", () => {
      socket.destroy()
      resolve()
    })
  })

/** The configuration of `deploy/` at other places. Throws where it does not name one of them. */
const settingsAt = (places: Readonly<Record<string, string>>): string =>
  Object.entries(places).reduce(
    (text, [place, here]) => {
      if (!text.includes(place)) throw new Error(`${TEMPLATE} does not name ${place}`)
      return text.replaceAll(place, here)
    },
    readFileSync(TEMPLATE, "utf8"),
  )

const startNginx = async (folder: string, port: number, addresses: readonly string[]) => {
  const { certificate, key } = writeServer(folder, undefined, "front")
  const path = join(folder, "nginx.conf")
  const text = settingsAt({
    "/tmp/": `${folder}/`, // first: the other places may be below the real one
    "0.0.0.0:7443": `127.0.0.1:${port}`,
    "assay.internal": "localhost",
    "/etc/assay/tls/front.pem": certificate,
    "/etc/assay/tls/front.key": key,
    "/etc/assay/tls/ca.pem": writeAuthorities(folder, "ca", SERVER_AUTHORITY),
    ...Object.fromEntries(addresses.map((address, i) => [`assay-${i + 1}:7400`, address])),
  })
  writeFileSync(path, text)
  const user = process.getuid?.() === 0 ? "user root; " : ""
  const command = ["nginx", "-p", folder, "-c", path, "-g", `${user}daemon off;`]
  // It listens before it has written its id.
  const pid = (): number => Number(readFileSync(join(folder, "nginx.pid"), "utf8"))
  const answers = async (): Promise<void> => {
    await isOpen(port)
    if (pid() === 0) throw new Error("nginx is not up yet")
  }
  const proxy = await startProcess(command, { answers })
  return { proxy, pid: pid() }
}

/** Without any, no replica is ready. */
const ANCHOR = {
  certificate: TEST_ANCHOR,
  label: "test",
  purpose: AnchorPurpose.ANY,
  revocation: AnchorRevocation.OFF,
  provenance: "test",
}

/** Registers devices, and sets a policy for all of them. */
export const letIn = async (
  { replicas }: BehindNginx,
  devices: readonly SoftwareDevice[],
  document: string,
): Promise<void> => {
  const operator = createAdminClient(replicas[0]?.admin ?? "")
  try {
    await operator.importTrust({ anchors: [ANCHOR] })
    for (const [i, { akPublic, qualifiedName }] of devices.entries())
      await operator.registerDevice({ id: `device-${i}`, akPublic, qualifiedName })
    const { policy } = await operator.setPolicy(document)
    await operator.assignPolicy({ policy: policy?.name ?? "" })
  } finally {
    operator.close()
  }
}

/** Starts everything in an empty folder. Whoever calls has to call `stop`. */
export const startBehindNginx = async (folder: string, shared: Shared): Promise<BehindNginx> => {
  const idp = makeIssuer("ES256")
  const keys = join(folder, "idp-jwks.json")
  writeFileSync(keys, JSON.stringify({ keys: [idp.jwk] }))
  const configs = Array.from({ length: REPLICAS }, (_, i) => {
    const own = join(folder, `assay-${i + 1}`)
    mkdirSync(own)
    return { own, config: writeConfig(own, shared, keys) }
  })
  const { status, stderr } = await assayHere(["init", "--config", configs[0]?.config ?? ""])
  if (status !== 0) throw new Error(stderr)
  const replicas = await Promise.all(
    configs.map(({ own, config }) => serve(own, { args: ["--config", config] })),
  )
  const port = await freePort()
  const { proxy, pid } = await startNginx(
    folder,
    port,
    replicas.map(({ tcp }) => tcp),
  )

  const iat = Math.floor(Date.now() / 1000)
  const credential = tokenOf(
    idp,
    { alg: idp.algorithm, kid: idp.kid, typ: "JWT" },
    { iss: GATEWAY.issuer, aud: GATEWAY.audience, sub: "edge", iat, exp: iat + TOKEN_SECONDS },
  )
  const address = `localhost:${port}`
  const clients: AttestationClient[] = []
  return {
    replicas,
    nginx: pid,
    address,
    client() {
      const tls = { ca: utf8(pem(SERVER_AUTHORITY.der)) }
      const client = createAttestationClient(address, { credential, tls })
      clients.push(client)
      return client
    },
    async stop() {
      for (const client of clients) client.close()
      await proxy.end("SIGTERM")
      await Promise.all(replicas.map((replica) => replica.end()))
    },
  }
}
