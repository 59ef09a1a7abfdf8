import { type AskedFilter, parseFilter } from "./device-filter.ts"
import type { ViewDevices } from "./device-view.ts"
import { narrow, withFreshness } from "./list-devices.ts"
import type { Caller, DeviceRecord, Ports } from "./ports.ts"

const PAGE = 500

/**
 * Gives out the devices of the caller's tenant, in the order of their ids, page by page as they are asked for; a page may be
 * empty and not the last. Those whose keys were released are left out: nobody can be known by them.
 *
 * @param filter See `parseFilter`; empty for every device.
 * @throws {AssayError} FILTER; REGISTRY.
 */
export const createExportDevices =
  (ports: Ports, view: ViewDevices) =>
  (filter: string, caller: Caller): AsyncIterable<readonly DeviceRecord[]> =>
    exported(ports, view, parseFilter(filter), caller)

async function* exported(
  { breathe, devices, clock, meter, settings }: Ports,
  view: ViewDevices,
  asked: AskedFilter,
  caller: Caller,
): AsyncIterable<readonly DeviceRecord[]> {
  const { tenant } = caller
  // By the time at which it began, or a device could slip through between two pages.
  const filter = narrow(asked, settings.silenceMs, clock.now())
  for (let after: { readonly id: string; readonly createdAt: Date } | undefined; ; ) {
    const query = { filter, order: "id" as const, descending: false, after, max: PAGE }
    const page = await meter.run(caller, () => devices.list(tenant, query))
    // Without a freshness to tell, no view is needed.
    const found =
      asked.freshness === undefined ? page.devices : withFreshness(await view(caller, page.devices), asked)
    yield found.filter(({ akPublic }) => akPublic.length > 0)
    if (page.next === undefined) return
    after = page.next
    await breathe()
  }
}
