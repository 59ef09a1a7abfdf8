import { AssayError } from "../errors.ts"
import { type AskedFilter, parseFilter } from "./device-filter.ts"
import { sessionsOf } from "./device-freshness.ts"
import type { DeviceView, ViewDevices } from "./device-view.ts"
import { cursorOf, pageTokenOf } from "./page-token.ts"
import type { Caller, DeviceFilter, DeviceQuery, Ports } from "./ports.ts"

/** Which devices, and which page of them. */
export interface ListDevicesInput {
  /** See `parseFilter`; empty for every device. */
  readonly filter: string
  /** One of ORDERS; empty for the first. */
  readonly orderBy: string
  /** 1 to 1,000. */
  readonly pageSize: number
  /** Of the page before, with the same filter and order; empty for the first page. */
  readonly pageToken: string
}

/** One page. It may have fewer devices than asked for, or none, and yet not be the last. */
export interface ListedDevices {
  readonly devices: readonly DeviceView[]
  /** Empty on the last page. */
  readonly nextPageToken: string
}

type Order = Pick<DeviceQuery, "order" | "descending">

const ORDERS: ReadonlyMap<string, Order> = new Map([
  ["id", { order: "id", descending: false }],
  ["id desc", { order: "id", descending: true }],
  ["create_time", { order: "created", descending: false }],
  ["create_time desc", { order: "created", descending: true }],
])

/**
 * Lists devices of the caller's tenant, by what never changes.
 *
 * @throws {AssayError} FILTER, PAGE_TOKEN; FIELD for an unknown order; REGISTRY.
 */
export const createListDevices =
  ({ clock, devices, meter, settings }: Ports, view: ViewDevices) =>
  async (input: ListDevicesInput, caller: Caller): Promise<ListedDevices> => {
    const { tenant } = caller
    const asked = parseFilter(input.filter)
    const orderBy = input.orderBy || "id"
    const order = ORDERS.get(orderBy)
    if (order === undefined) throw unknownOrder(input.orderBy)
    const list = ["devices", tenant, input.filter, orderBy]
    const query = {
      ...order,
      filter: narrow(asked, settings.silenceMs, clock.now()),
      after: cursorOf(list, input.pageToken),
      max: input.pageSize,
    }
    const { devices: found, next } = await meter.run(caller, () => devices.list(tenant, query))
    return {
      devices: withFreshness(await view(caller, found), asked),
      nextPageToken: next === undefined ? "" : pageTokenOf(list, next),
    }
  }

/** What a store can narrow by. Lifetimes differ by policy, so that it gives more than is fresh, due or overdue. */
export const narrow = ({ freshness, ...filter }: AskedFilter, silenceMs: number, at: Date): DeviceFilter => ({
  ...filter,
  ...(freshness !== undefined && sessionsOf(freshness, silenceMs, at)),
})

/** Those that are what was asked for. */
export const withFreshness = (
  views: readonly DeviceView[],
  { freshness }: AskedFilter,
): readonly DeviceView[] =>
  freshness === undefined ? views : views.filter((view) => view.freshness === freshness)

const unknownOrder = (actual: string): AssayError =>
  new AssayError("FIELD", "order_by: there is no such order", {
    location: "order_by",
    expected: [...ORDERS.keys()].join(", "),
    actual,
  })
