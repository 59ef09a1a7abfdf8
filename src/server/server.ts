import type { Socket } from "node:net"
import type { DescService } from "@bufbuild/protobuf"
import { Server } from "@grpc/grpc-js"
import { HealthImplementation } from "grpc-health-check"
import type { Logger } from "pino"
import type { Code } from "../errors.ts"
import { PolicyService } from "../gen/assay/v1/admin_pb.ts"
import { AttestationService } from "../gen/assay/v1/attestation_pb.ts"
import { DeviceService, EnrollmentTokenService } from "../gen/assay/v1/device_pb.ts"
import { EnrollmentService } from "../gen/assay/v1/enrollment_pb.ts"
import { JournalService } from "../gen/assay/v1/journal_pb.ts"
import { TrustService } from "../gen/assay/v1/trust_pb.ts"
import { addService } from "../rpc.ts"
import type { Service } from "../service/service.ts"
import { policyHandlers } from "./admin.ts"
import { attestationHandlers } from "./attestation.ts"
import { serveBrought } from "./brought.ts"
import { type Edge, type Observe, observed } from "./call.ts"
import { createCallLog } from "./call-log.ts"
import type { Transport } from "./caller.ts"
import { DEVICE_FIELDS_MAX, deviceHandlers, enrollmentTokenHandlers } from "./devices.ts"
import { enrollmentHandlers } from "./enrollment.ts"
import { type IdentityConfig, openIdentities, watching } from "./identities.ts"
import { journalHandlers } from "./journal.ts"
import { createLimiter, RATES, type Rates } from "./limiter.ts"
import {
  ADMIN_MODE,
  type Bound,
  bind,
  checkAddress,
  checkListen,
  type Listen,
  type ListenAddress,
  SOCKET_MODE,
} from "./listen.ts"
import { addReflection } from "./reflection.ts"
import { Peers } from "./tls.ts"
import { TRUST_FIELDS_MAX, trustHandlers } from "./trust.ts"
import { warm } from "./validate.ts"
import { decodeStrictly, strictDecoder } from "./wire.ts"

/** Bounds of what callers may ask for at once. */
export interface Limits {
  /** Of one request. The largest evidence is its event log of 1 MiB and 10 KiB around it. */
  readonly messageBytesMax: number
  /** The same over the administration socket. A revocation list may have 32 MiB. */
  readonly adminMessageBytesMax: number
  /** Calls at a time on one connection. */
  readonly callsMax: number
  /** Requests of one stream at a time. */
  readonly streamInFlightMax: number
  /** How long a shutdown waits for calls that are not answered yet. */
  readonly drainMs: number
}

/** What is right unless somebody knows better. */
export const LIMITS: Limits = {
  messageBytesMax: 2 * 1024 * 1024,
  adminMessageBytesMax: 36 * 1024 * 1024,
  callsMax: 256,
  streamInFlightMax: 64,
  drainMs: 10_000,
}

/**
 * Connections that died without a word are found within 80 seconds, idle ones are closed, old ones are made anew.
 * Channelz stays on, as it is by default: without it, grpc-js 1.14 forgets its sessions and cannot force a shutdown.
 */
const CONNECTIONS = {
  "grpc.keepalive_time_ms": 60_000,
  "grpc.keepalive_timeout_ms": 20_000,
  "grpc.max_connection_idle_ms": 600_000,
  "grpc.max_connection_age_ms": 3_600_000,
}

/** How long answers that were given may take to leave, before connections are cut. */
const FLUSH_MS = 250

/** What a server is made of. */
export interface ServerConfig extends Omit<IdentityConfig, "anonymous"> {
  readonly service: Service
  readonly log: Logger
  /** Addresses for callers: with TLS on any, without it on this machine, see `checkAddress`. */
  readonly listen: readonly Listen[]
  /** `unix:/absolute/path` of the administration socket, if there is one: its file's owner is an operator. */
  readonly admin: string | undefined
  /** Whether callers on this machine without a credential are gateways, known by their connection alone. */
  readonly anonymous?: boolean
  /** Whether callers may ask for the schema. */
  readonly reflection: boolean
  /** Allows plaintext TCP on loopback. */
  readonly development: boolean
  /** Whether connections are accepted by another process and brought by `take`. The administration socket never is. */
  readonly brought?: boolean
  readonly observe?: Observe
  readonly refused?: (code: Code) => void
  readonly limits?: Partial<Limits>
  /** What one caller and what comes from one address may ask for, but for the administration socket. */
  readonly rates?: Partial<Rates>
  /** Between two looks at files that operators replace. */
  readonly reloadMs?: number
}

/** A server, not yet started. */
export interface AssayServer {
  /**
   * Listens, on all addresses or on none. Gives them in order, with the ports that port 0 became; the
   * administration socket last.
   *
   * @throws {AssayError} INPUT for an address that cannot be listened on.
   */
  start(): Promise<readonly string[]>
  /** Serves a connection that another process has accepted on the listener of this number. */
  take(listener: number, socket: Socket): void
  /** Why certificates and keys are not used as their files have them now. */
  unready(): readonly string[]
  /** Looks now at all files that operators replace. */
  look(): Promise<void>
  /** Says so to health checks, refuses new calls, answers open ones until `drainMs`, and closes. */
  stop(): Promise<void>
}

/**
 * A server for `config`. Nothing is opened yet.
 *
 * @throws {AssayError} INPUT for an address that is not allowed, or a malformed credential.
 */
export function createServer(config: ServerConfig): AssayServer {
  const limits = { ...LIMITS, ...config.limits }
  const addresses = addressesOf(config)
  const bound: Bound[] = []
  const renew = (): void => {
    for (const one of bound) one.renew()
  }
  const watch = watching(config.log, renew, config.reloadMs)
  const limiter = createLimiter({ ...RATES, ...config.rates })
  const identities = openIdentities(
    { ...config, anonymous: config.anonymous ?? config.development },
    watch,
    limiter.lookup,
  )
  const { knowCaller } = identities
  const peers = new Peers()
  const logCall = createCallLog(config.log)
  const draining = new AbortController()
  const open = new Set<object>()
  const listeners = addresses.map(({ address, transport }) => {
    const edge: Edge = {
      log: config.log,
      logCall,
      observe: config.observe ?? (() => {}),
      refused: config.refused ?? (() => {}),
      knowCaller,
      transport,
      peers,
      limiter: transport === "admin" ? undefined : limiter,
      open,
    }
    const server = new Server({
      ...CONNECTIONS,
      "grpc.max_receive_message_length":
        transport === "admin" ? limits.adminMessageBytesMax : limits.messageBytesMax,
      "grpc.max_concurrent_streams": limits.callsMax,
      interceptors: [observed(edge)],
    })
    const stream = { inFlightMax: limits.streamInFlightMax, draining: draining.signal }
    addService(server, AttestationService, attestationHandlers(config.service, stream), decodeStrictly)
    addService(server, EnrollmentService, enrollmentHandlers(config.service), decodeStrictly)
    const readDevice = strictDecoder(DEVICE_FIELDS_MAX)
    addService(server, DeviceService, deviceHandlers(config.service, stream), readDevice)
    addService(server, EnrollmentTokenService, enrollmentTokenHandlers(config.service), readDevice)
    addService(server, PolicyService, policyHandlers(config.service), decodeStrictly)
    addService(server, TrustService, trustHandlers(config.service), strictDecoder(TRUST_FIELDS_MAX))
    addService(server, JournalService, journalHandlers(config.service, draining.signal), decodeStrictly)
    const health = new HealthImplementation()
    const setHealth = (status: "SERVING" | "NOT_SERVING"): void => {
      for (const name of ["", ...SERVICES.map(({ typeName }) => typeName)]) health.setStatus(name, status)
    }
    health.addToServer(server)
    if (config.reflection) addReflection(server, SERVICES)
    return { server, address, mode: transport === "admin" ? ADMIN_MODE : SOCKET_MODE, setHealth }
  })

  const close = (): void => {
    for (const { server } of listeners) server.forceShutdown()
    for (const { release } of bound.splice(0)) release()
    identities.close()
  }
  const clients = config.deviceAuthority !== undefined || (config.clientCertificates ?? []).length > 0
  const tls = {
    clients,
    authorities: identities.authorities,
    admit: limiter.connection,
    watch,
    now: config.now ?? (() => new Date()),
    peers,
  }
  return {
    start: async () => {
      SERVICES.forEach(warm)
      try {
        for (const { server, address, mode } of listeners)
          bound.push(
            config.brought === true && mode !== ADMIN_MODE
              ? serveBrought(server, address, tls)
              : await bind(server, address, { mode, tls }),
          )
      } catch (error) {
        close()
        throw error
      }
      for (const { setHealth } of listeners) setHealth("SERVING")
      return bound.map(({ address }) => address)
    },
    take: (listener, socket) => {
      const { take } = bound[listener] ?? {}
      if (take === undefined) socket.destroy()
      else take(socket)
    },
    unready: () => [...identities.unready(), ...bound.flatMap((one) => one.unready() ?? [])],
    look: async () => void (await Promise.all([identities.look(), ...bound.map((one) => one.look())])),
    stop: async () => {
      for (const { setHealth } of listeners) setHealth("NOT_SERVING")
      for (const one of bound) one.close()
      draining.abort()
      const drained = Promise.all(
        listeners.map(({ server }) => new Promise<void>((done) => server.tryShutdown(() => done()))),
      )
      const waiting = answered(open, limits.drainMs)
      // Of connections that were handed to it, grpc-js says at once that they have ended.
      const isInjected = config.brought === true || addresses.some(({ address }) => address.kind === "tls")
      await (isInjected ? waiting.done : Promise.race([drained, waiting.done]))
      waiting.cancel()
      close()
    },
  }
}

/** What every listener serves. Who may call which of their methods is in `roles.ts`. */
const SERVICES: readonly DescService[] = [
  AttestationService,
  EnrollmentService,
  DeviceService,
  EnrollmentTokenService,
  PolicyService,
  TrustService,
  JournalService,
]

/** @throws {AssayError} INPUT. */
function addressesOf(config: ServerConfig): { address: ListenAddress; transport: Transport }[] {
  const addresses = config.listen.map((one) => {
    const address = checkListen(one, config.development)
    return { address, transport: address.kind }
  })
  if (config.admin === undefined) return addresses
  // TCP has no owner, so administration is never on it.
  return [...addresses, { address: checkAddress(config.admin, false), transport: "admin" }]
}

/** `done` when every open call has been answered and had time to leave, or when the limit is reached. */
function answered(open: ReadonlySet<object>, limitMs: number): { done: Promise<void>; cancel: () => void } {
  const { promise: done, resolve } = Promise.withResolvers<void>()
  const limit = performance.now() + limitMs
  let idleSince: number | undefined
  const timer = setInterval(() => {
    const now = performance.now()
    idleSince = open.size > 0 ? undefined : (idleSince ?? now)
    if (now >= limit || (idleSince !== undefined && now - idleSince >= FLUSH_MS)) resolve()
  }, 25)
  return { done, cancel: () => clearInterval(timer) }
}
