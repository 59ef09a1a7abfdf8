/**
 * Fault points: where a process that is told so ends as if the power went, to show what a crash there leaves behind. A
 * point is every call of a port, before it and after it: `journal.append:before`, `journal.append:after`. Between two
 * of them a use case awaits nothing. There are none outside development mode.
 */
import type { Ports } from "./service/ports.ts"

/** What happens at points: called with the name of each that is passed. */
export type Fault = (point: string) => void

/** `<port>.<method>:before` or `:after`, or without a method for a port that is a function. `trace` tells all, and ends nothing. */
export const FAULT = /^(trace|[a-zA-Z]+(\.[a-zA-Z]+)?:(before|after))$/

/** A fault that ends the process at `wanted`, without a word to anybody; or tells each point, for `trace`. */
export const faultAt =
  (wanted: string, tell: (point: string) => void): Fault =>
  (point) => {
    if (wanted === "trace") tell(point)
    else if (point === wanted) process.kill(process.pid, "SIGKILL")
  }

/** A function that passes a point before and after each of its calls. */
export const passing =
  <Arguments extends readonly unknown[], T>(
    name: string,
    act: (...args: Arguments) => Promise<T>,
    fault: Fault,
  ): ((...args: Arguments) => Promise<T>) =>
  async (...args) => {
    fault(`${name}:before`)
    const value = await act(...args)
    fault(`${name}:after`)
    return value
  }

/** Values that are asked in every breath, and change nothing anywhere. */
const QUIET: readonly string[] = ["clock", "random", "settings", "denied", "breathe"]

/** The same ports, which pass a point before and after each of their calls. */
export const withFaults = (ports: Ports, fault: Fault): Ports =>
  new Proxy(ports, {
    get(target, name) {
      const port: unknown = Reflect.get(target, name)
      const isQuiet = typeof name !== "string" || QUIET.includes(name)
      if (isQuiet) return port
      if (typeof port === "function")
        return faulty(name, (args) => Reflect.apply(port, undefined, args), fault)
      return typeof port === "object" && port !== null ? withFaultyMethods(name, port, fault) : port
    },
  })

const withFaultyMethods = <T extends object>(name: string, port: T, fault: Fault): T =>
  new Proxy(port, {
    get(target, method) {
      const value: unknown = Reflect.get(target, method)
      return typeof value === "function" && typeof method === "string"
        ? faulty(`${name}.${method}`, (args) => Reflect.apply(value, target, args), fault)
        : value
    },
  })

const faulty =
  (name: string, act: (args: readonly unknown[]) => unknown, fault: Fault) =>
  (...args: unknown[]): unknown => {
    fault(`${name}:before`)
    const result = act(args)
    if (!(result instanceof Promise)) {
      fault(`${name}:after`)
      return result
    }
    return result.then((value: unknown) => {
      fault(`${name}:after`)
      return value
    })
  }
