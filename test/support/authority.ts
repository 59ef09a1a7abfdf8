/** A device CA for tests: one for each process, made when it is first asked, for the library that makes it takes its time. */
import { type Authority, generateAuthority } from "../../src/keys/authority.ts"
import { createDeviceAuthority } from "../../src/keys/device-authority.ts"
import { createRandom } from "../../src/keys/random.ts"
import type { DeviceAuthority } from "../../src/service/ports.ts"

export const TRUST_DOMAIN = "test.internal"
/** When it was made: before every test begins. */
export const AUTHORITY_MADE_AT = new Date("2026-01-01T00:00:00Z")

const random = createRandom()
let made: Promise<Authority> | undefined

/** The one authority of this process. */
export const testAuthority = (): Promise<Authority> => {
  made ??= generateAuthority(TRUST_DOMAIN, AUTHORITY_MADE_AT, random)
  return made
}

/** Issues as the server does. */
export const testDeviceAuthority = (lifetimeMs?: number): DeviceAuthority => ({
  issue: async (wanted) => {
    const options = { random, ...(lifetimeMs !== undefined && { lifetimeMs }) }
    return createDeviceAuthority(await testAuthority(), options).issue(wanted)
  },
})
