/** What the calls of one server share. */
import type { Logger } from "pino"
import type { Code } from "../errors.ts"
import type { Meter } from "../service/ports.ts"
import type { Admission } from "./admission.ts"
import type { LogCall } from "./call-log.ts"
import type { KnowCaller, Transport } from "./caller.ts"
import type { Connections } from "./connections.ts"
import type { OpenCalls } from "./drain.ts"
import type { Guard } from "./guard.ts"
import type { Limiter } from "./limiter.ts"

/** Told of each call that ends: `package.Service/Method`, the gRPC status by name, and how long it took. */
export type Observe = (method: string, code: string, seconds: number) => void

/** What the calls of one server share. */
export interface Edge {
  readonly log: Logger
  readonly logCall: LogCall
  readonly observe: Observe
  /** Told of each failure that a caller is answered with. */
  readonly refused: (code: Code) => void
  readonly knowCaller: KnowCaller
  readonly transport: Transport
  /** Nothing where nobody is limited. */
  readonly limits: EdgeLimits | undefined
  /** Calls that are not answered yet, but for those that anyone may make. */
  readonly open: OpenCalls
}

/** What those are limited by who do not use the administration socket. */
export interface EdgeLimits {
  readonly limiter: Limiter
  readonly guard: Guard
  readonly connections: Connections
  readonly admission: Admission
  /** Sees what answers take that are long. */
  readonly meter: Meter
}
