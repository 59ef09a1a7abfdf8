import { AssayError, retold } from "../errors.ts"

/** Work that is under way, by what it is for. */
export interface Flights<T> {
  /** Whether somebody is at work on it already. */
  has(key: string): boolean
  /**
   * What `act` gives; or, while somebody is at work on the same thing, what that comes to. @throws what `act` throws: an error
   * of his own for each who waits, for use cases write into theirs.
   */
  join(key: string, act: () => Promise<T>): Promise<T>
}

/** One piece of work for all who come for the same thing at the same time. A failure is theirs, and nobody's afterwards. */
export const createFlights = <T>(): Flights<T> => {
  const flights = new Map<string, Promise<T>>()
  return {
    has: (key) => flights.has(key),
    join(key, act) {
      const flight = flights.get(key)
      if (flight !== undefined) return flight.catch(rethrow)
      const begun = act().finally(() => flights.delete(key))
      flights.set(key, begun)
      return begun
    },
  }
}

const rethrow = (error: unknown): never => {
  throw error instanceof AssayError ? retold(error, {}) : error
}
