/**
 * Health checks (grpc.health.v1), over the library's schema alone: what it would serve remembers each name that anybody watches
 * for as long as the process runs, and tells callers their own bytes.
 */
import type { Server, ServerUnaryCall, ServerWritableStream, sendUnaryData } from "@grpc/grpc-js"
import { service as definition } from "grpc-health-check"
import { AssayError } from "../errors.ts"
import { toStatus } from "./errors.ts"
import { takeContext } from "./intercept.ts"
import { type Listed, Roll } from "./roll.ts"

/** How all of a server is. */
export type Serving = "SERVING" | "NOT_SERVING"

interface Watcher extends Listed {
  readonly call: ServerWritableStream<unknown, unknown>
}

/** Tells whether a server serves, as a whole and by its services, which do so together. */
export class Health {
  readonly #names: ReadonlySet<string>
  readonly #watchers = new Roll<Watcher>()
  #status: Serving = "NOT_SERVING"

  /** @param services The names of all services that are served. */
  constructor(services: readonly string[]) {
    this.#names = new Set(["", ...services])
  }

  /** Who is told of each change. */
  get watching(): number {
    return this.#watchers.size
  }

  /** Says how the server is from now on, to who watches as well. */
  set(status: Serving): void {
    this.#status = status
    for (const { call } of this.#watchers.all()) call.write({ status })
  }

  /** Has a server answer, and gives the paths of what it then does. */
  addTo(server: Server): readonly string[] {
    server.addService(definition, {
      check: (call: ServerUnaryCall<unknown, unknown>, answer: sendUnaryData<unknown>) => {
        const name = nameIn(call.request)
        if (this.#names.has(name)) {
          answer(null, { status: this.#status })
          return
        }
        const error = unknownService(name)
        answer(takeContext(call.metadata)?.fail(error) ?? toStatus(error))
      },
      list: (_: unknown, answer: sendUnaryData<unknown>) => {
        const statuses = [...this.#names].map((name) => [name, { status: this.#status }])
        answer(null, { statuses: Object.fromEntries(statuses) })
      },
      watch: (call: ServerWritableStream<unknown, unknown>) => this.#watch(call),
    })
    return Object.values(definition).map(({ path }) => path)
  }

  #watch(call: ServerWritableStream<unknown, unknown>): void {
    // What is served never changes: there is nothing more to tell of any other name, but the call does not end for that.
    if (!this.#names.has(nameIn(call.request))) {
      call.write({ status: "SERVICE_UNKNOWN" })
      return
    }
    const watcher = { call, place: 0 }
    this.#watchers.add(watcher)
    call.once("cancelled", () => this.#watchers.delete(watcher)) // however it ends
    call.write({ status: this.#status })
  }
}

const unknownService = (name: string): AssayError =>
  new AssayError(
    "SERVICE_NOT_FOUND",
    "there is no such service here: list them, or ask of the server as a whole",
    {
      location: "service",
      expected: "the full name of a service, or nothing",
      actual: name,
    },
  )

const nameIn = (request: unknown): string =>
  typeof request === "object" && request !== null && "service" in request ? String(request.service) : ""
