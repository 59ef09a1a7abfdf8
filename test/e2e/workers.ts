/** A server of two workers in processes of its own, and a gateway with a connection to each. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { toHex } from "../../src/bytes.ts"
import type { AttestationClient } from "../../src/client/attestation.ts"
import type { CreateChallengeResponse } from "../../src/gen/assay/v1/attestation_pb.ts"
import { waitUntil } from "../support/engines.ts"
import { callerOf, readiness, type ServerProcess, serve } from "./server.ts"

/** Each listener is one connection of a client: they are spread over the workers. */
const LISTENERS = 16

/** Starts one with `count` workers that listens on several ports. */
export const serveWorkers = (
  folder: string,
  env: Readonly<Record<string, string>> = {},
  count = 2,
): Promise<ServerProcess> => {
  const ports = Array.from({ length: LISTENERS }, () => "127.0.0.1:0")
  const socket = `unix:${join(folder, "data", "assay.sock")}`
  const args = ["--development", "--listen", ...ports, socket, "--workers", String(count)]
  return serve(folder, { args, env })
}

/** The key that a challenge is sealed under, and so the worker that made it. */
export const makerOf = ({ challenge }: CreateChallengeResponse): string => toHex(challenge.slice(0, 8))

/** So many clients of a gateway, each with a connection of its own: no two of them share a listener. */
export const clientsOf = (server: ServerProcess, from = 0, count = 4): readonly AttestationClient[] =>
  server.listen.slice(from, from + count).map((address) => callerOf(server, address, "gateway"))

/** One client for each worker, by who makes its challenges. */
export const byWorker = async (
  clients: readonly AttestationClient[],
): Promise<ReadonlyMap<string, AttestationClient>> => {
  const found = new Map<string, AttestationClient>()
  for (const client of clients)
    found.set(makerOf(await client.createChallenge({ audience: "orders" })), client)
  return found
}

/** Two clients that two workers serve. */
export const twoOf = async (
  clients: readonly AttestationClient[],
): Promise<readonly [AttestationClient, AttestationClient]> => {
  const [one, other] = [...(await byWorker(clients)).values()]
  if (one === undefined || other === undefined) throw new TypeError("two workers serve")
  return [one, other]
}

/** Waits until all workers serve, and gives how long that took. */
export const untilReady = (server: ServerProcess): Promise<number> =>
  waitUntil(20_000, async () => (await readiness(server)).status === 200)

/** The processes of the workers. */
export const workersOf = ({ child }: ServerProcess): readonly number[] =>
  readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")
    .trim()
    .split(" ")
    .filter((pid) => pid !== "")
    .map(Number)

/** The sum of a metric's values whose labels contain `label`. */
export const metric = async ({ privateUrl }: ServerProcess, name: string, label = ""): Promise<number> => {
  const text = await (await fetch(`${privateUrl}/metrics`)).text()
  return text
    .split("\n")
    .filter((line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(label))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0)
}
