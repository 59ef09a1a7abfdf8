import type { Socket } from "node:net"
import type { DescService } from "@bufbuild/protobuf"
import { Server } from "@grpc/grpc-js"
import type { Logger } from "pino"
import type { Code } from "../errors.ts"
import { PolicyService } from "../gen/assay/v1/admin_pb.ts"
import { AttestationService } from "../gen/assay/v1/attestation_pb.ts"
import { DeviceService, EnrollmentTokenService } from "../gen/assay/v1/device_pb.ts"
import { EnrollmentService } from "../gen/assay/v1/enrollment_pb.ts"
import { JournalService } from "../gen/assay/v1/journal_pb.ts"
import { TrustService } from "../gen/assay/v1/trust_pb.ts"
import { addService, type Decode, type Handlers } from "../rpc.ts"
import type { Service } from "../service/service.ts"
import { policyHandlers } from "./admin.ts"
import { Admission } from "./admission.ts"
import { watchArrivals } from "./arrival.ts"
import { attestationHandlers } from "./attestation.ts"
import { serveBrought } from "./brought.ts"
import { lineOf } from "./call.ts"
import { createCallLog } from "./call-log.ts"
import type { Transport } from "./caller.ts"
import type { Takes } from "./connection.ts"
import { Connections, UNBOUNDED } from "./connections.ts"
import { DEVICE_FIELDS_MAX, deviceHandlers, enrollmentTokenHandlers } from "./devices.ts"
import { DirectCalls } from "./direct.ts"
import { drained, type OpenCalls } from "./drain.ts"
import type { Edge, Observe } from "./edge.ts"
import { enrollmentHandlers } from "./enrollment.ts"
import { Guard } from "./guard.ts"
import { Health } from "./health.ts"
import { type IdentityConfig, openIdentities, watching } from "./identities.ts"
import { intercepting } from "./intercept.ts"
import { journalHandlers } from "./journal.ts"
import { createLimiter, RATES, type Rates } from "./limiter.ts"
import { LIMITS, type Limits } from "./limits.ts"
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
import { type ChargeCaller, createMeter } from "./meter.ts"
import { partyOf } from "./party.ts"
import { reflectionOf } from "./reflection.ts"
import { TRUST_FIELDS_MAX, trustHandlers } from "./trust.ts"
import { warm } from "./validate.ts"
import { decodeStrictly, strictDecoder } from "./wire.ts"

/**
 * Connections that died without a word are found within 80 seconds, old ones are made anew. Idle ones are closed by `Connections`,
 * for grpc-js does not see every call.
 * Channelz stays on, as it is by default: without it, grpc-js 1.14 forgets its sessions and cannot force a shutdown.
 *
 * `grpc.max_concurrent_streams` is not there: Node counts a stream for a moment longer than its caller does, resets those that
 * are too many, and ends a connection with a hundred of them, so that whoever keeps to it would be cut off under load.
 * `Limits.callsMax` is there instead.
 */
const CONNECTIONS = {
  "grpc.keepalive_time_ms": 60_000,
  "grpc.keepalive_timeout_ms": 20_000,
  "grpc.max_connection_age_ms": 3_600_000,
}

/** Between two looks at what takes too long. */
const SWEEP_MS = 250

/** For connections that were cut to be gone. */
const CUT_MS = 250

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
  /** Told of each request that begins, and how long it has waited for its turn. */
  readonly waited?: (seconds: number) => void
  /** Told of what callers' requests have taken of the event loop, where that is more than most do. */
  readonly charged?: (seconds: number) => void
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
  /** Takes from a caller's turns what its request has taken of the event loop. */
  readonly charge: ChargeCaller
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
    limiter.tries,
  )
  const { knowCaller } = identities
  watchArrivals()
  const admission = new Admission(limits, { waited: config.waited ?? (() => {}), partyOf })
  const connections = new Connections(limits, ({ network, streams }, caller) => {
    const isRefused = streams >= limits.callsMax || (caller !== undefined && admission.refuses(caller))
    const refusal = isRefused ? "OVERLOADED" : limiter.isSpent(caller, network) ? "RATE" : undefined
    if (refusal === undefined) return undefined
    if (refusal === "RATE" && caller !== undefined) admission.refused(caller)
    config.refused?.(refusal)
    return refusal
  })
  const administering = new Connections(UNBOUNDED) // whoever can open that socket can do worse
  const guard = new Guard(limits)
  const charge: ChargeCaller = (who, ms) => {
    admission.charge(lineOf(who), ms)
    config.charged?.(ms / 1000)
  }
  const { meter, tell } = createMeter()
  tell(charge)
  const logCall = createCallLog(config.log)
  const draining = new AbortController()
  const open: OpenCalls = { size: 0 }
  const addReflection = reflectionOf(SERVICES)
  const listeners = addresses.map(({ address, transport }) => {
    const edge: Edge = {
      log: config.log,
      logCall,
      observe: config.observe ?? (() => {}),
      refused: config.refused ?? (() => {}),
      knowCaller,
      transport,
      limits: transport === "admin" ? undefined : { limiter, guard, connections, admission, meter },
      open,
    }
    const server = new Server({
      ...CONNECTIONS,
      ...(transport === "admin" && { "grpc.max_connection_idle_ms": LIMITS.idleMs }),
      "grpc.max_receive_message_length":
        transport === "admin" ? limits.adminMessageBytesMax : limits.messageBytesMax,
      interceptors: [intercepting(edge)],
    })
    const stream = { inFlightMax: limits.streamInFlightMax, draining: draining.signal }
    const direct = new DirectCalls()
    const add = <S extends DescService>(service: S, handlers: Handlers<S>, read: Decode): void => {
      addService(server, service, handlers, read)
      direct.add(service, handlers, read)
    }
    add(AttestationService, attestationHandlers(config.service, stream), decodeStrictly)
    add(EnrollmentService, enrollmentHandlers(config.service), decodeStrictly)
    const readDevice = strictDecoder(DEVICE_FIELDS_MAX)
    add(DeviceService, deviceHandlers(config.service, stream), readDevice)
    add(EnrollmentTokenService, enrollmentTokenHandlers(config.service), readDevice)
    add(PolicyService, policyHandlers(config.service), decodeStrictly)
    add(TrustService, trustHandlers(config.service), strictDecoder(TRUST_FIELDS_MAX))
    add(JournalService, journalHandlers(config.service, draining.signal), decodeStrictly)
    const health = new Health(SERVICES.map(({ typeName }) => typeName))
    for (const path of health.addTo(server)) direct.leave(path)
    if (config.reflection) for (const path of addReflection(server)) direct.leave(path)
    const takes: Takes = (call, headers, arrival) => direct.take(edge, call, headers, arrival)
    const parts =
      transport === "admin"
        ? { mode: ADMIN_MODE, connections: administering, takes: undefined }
        : { mode: SOCKET_MODE, connections, takes }
    return { server, address, parts, health }
  })

  let sweeping: NodeJS.Timeout | undefined
  const close = (): void => {
    clearInterval(sweeping)
    for (const { server } of listeners) server.forceShutdown()
    for (const { parts } of listeners) parts.connections.cut()
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
  }
  return {
    start: async () => {
      try {
        for (const { server, address, parts } of listeners) {
          const shared = { ...parts, tls }
          bound.push(
            config.brought === true && parts.mode !== ADMIN_MODE
              ? serveBrought(server, address, shared)
              : await bind(server, address, shared),
          )
        }
      } catch (error) {
        close()
        throw error
      }
      for (const { health } of listeners) health.set("SERVING")
      void warm(SERVICES)
      sweeping = setInterval(() => {
        connections.sweep()
        guard.sweep()
      }, SWEEP_MS)
      return bound.map(({ address }) => address)
    },
    take: (listener, socket) => {
      const { take } = bound[listener] ?? {}
      if (take === undefined) socket.destroy()
      else take(socket)
    },
    charge,
    unready: () => [...identities.unready(), ...bound.flatMap((one) => one.unready() ?? [])],
    look: async () => void (await Promise.all([identities.look(), ...bound.map((one) => one.look())])),
    stop: async () => {
      for (const { health } of listeners) health.set("NOT_SERVING")
      for (const one of bound) one.close()
      for (const { parts } of listeners) parts.connections.stop()
      draining.abort()
      // It says that it has shut down when it has told its connections to close, not when they have.
      for (const { server } of listeners) server.tryShutdown(() => {})
      const isEmpty = (): boolean => connections.size + administering.size === 0
      await drained(open, isEmpty, limits.drainMs)
      for (const { parts } of listeners) parts.connections.cut()
      // Sessions are not destroyed before their sockets, see `Connection.end`.
      await drained({ size: 0 }, isEmpty, CUT_MS)
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
