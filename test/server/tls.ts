/** A server with TLS, and clients of it. */
import { Client, Metadata } from "@grpc/grpc-js"
import { errorFromStatus } from "../../src/client/failure.ts"
import { AttestationService } from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import type { CertificateFiles } from "../../src/server/certificate-rules.ts"
import type { Limits } from "../../src/server/limits.ts"
import type { ServerConfig } from "../../src/server/server.ts"
import type { Service } from "../../src/service/service.ts"
import {
  clientCredentials,
  type Holder,
  makeAuthority,
  makeClient,
  rawUnary,
  writeAuthorities,
  writeServer,
} from "../support/callers.ts"
import { inFolder, type Running, running } from "./fake.ts"
import { endRawSessions } from "./raw.ts"

export const edge = makeAuthority("Edge CA")
export const office = makeAuthority("Office CA")
export const gateway = makeClient(edge)
export const operator = makeClient(office, "spiffe://office.example/alice")

/** Gateways of tenant `acme` by one CA, and one operator by another. */
const rulesIn = (folder: string): CertificateFiles[] => [
  {
    name: "edge",
    authority: writeAuthorities(folder, "edge", edge),
    crls: undefined,
    role: "gateway",
    tenant: "acme",
    id: { kind: "spiffe", ids: undefined },
  },
  {
    name: "office",
    authority: writeAuthorities(folder, "office", office),
    crls: undefined,
    role: "operator",
    tenant: "default",
    id: { kind: "spiffe", ids: ["spiffe://office.example/alice"] },
  },
]

/** A server with TLS on one port, outside of development mode. */
export const serving = (
  act: (server: Running & { readonly folder: string }) => Promise<void>,
  changed: (folder: string) => Partial<ServerConfig> = () => ({}),
  overrides: Partial<Service> = {},
): Promise<void> =>
  inFolder(async (folder) => {
    const server = await running(overrides, {
      listen: [{ address: "127.0.0.1:0", tls: writeServer(folder) }],
      clientCertificates: rulesIn(folder),
      development: false,
      ...changed(folder),
    })
    try {
      await act({ ...server, folder })
    } finally {
      endRawSessions()
      await server.stop()
    }
  })

/** A server with TLS and these limits, for `serving`. */
export const limited =
  (limits: Partial<Limits>, more: Partial<ServerConfig> = {}) =>
  (folder: string): Partial<ServerConfig> => ({
    listen: [{ address: "127.0.0.1:0", tls: writeServer(folder) }],
    limits,
    ...more,
  })

/** A connection of its own, as a client with a certificate makes it, or one without. */
export const connectAs = (address: string, holder?: Holder, ...chain: readonly Holder[]): Client =>
  new Client(address, clientCredentials(holder, ...chain), {
    "grpc.use_local_subchannel_pool": 1,
    // grpc-js takes the address for a name to ask for, which Node does not allow of an IP address.
    "grpc.ssl_target_name_override": "localhost",
  })

export const GET_EPOCH = pathOf(AttestationService.method.getEpoch)

/** The code that a call ends with; "OK" if it is answered. */
export const outcomeOn = async (
  client: Client,
  method = GET_EPOCH,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> => {
  const metadata = new Metadata()
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value)
  try {
    await rawUnary(client, method, metadata)
    return "OK"
  } catch (error) {
    return errorFromStatus(error).code
  }
}

/** The same, over a connection for this call alone. */
export const outcomeOf = async (
  address: string,
  holder: Holder | undefined,
  chain: readonly Holder[] = [],
  method = GET_EPOCH,
): Promise<string> => {
  const client = connectAs(address, holder, ...chain)
  try {
    return await outcomeOn(client, method)
  } finally {
    client.close()
  }
}
