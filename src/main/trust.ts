/** Trust in makers of TPMs, out of the settings: loaded, remembered, and kept current. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { setImmediate } from "node:timers/promises"
import type { Logger } from "pino"
import { utf8 } from "../bytes.ts"
import { cachedLoadTrust } from "../cache/trust.ts"
import type { Config } from "../config.ts"
import { createPrivateFile, readPrivateFile } from "../keys/privatefile.ts"
import { type DevelopmentPorts, distrustSoftwareMakers, trustSoftwareMaker } from "../service/development.ts"
import { createLoadTrust } from "../service/load-trust.ts"
import { createParseTrust } from "../service/parse-trust.ts"
import type { Clock, Ports, Random, TrustStore } from "../service/ports.ts"
import { createRefresh } from "../service/refresh.ts"
import { type Advisories, parseAdvisories } from "../verification/advisory.ts"
import { parseDeniedKeys } from "../verification/denied-keys.ts"
import type { DeniedKeys } from "../verification/weak-key.ts"
import { createFetch } from "../web/fetch.ts"
import { createRefresher } from "../web/refresher.ts"
import { TENANT } from "./constants.ts"

const TENANTS_MAX = 100
/** Where development mode keeps the maker of software TPMs, in the data folder. */
const SOFTWARE_MAKER = "software-tpm-maker.pem"

/** What trust is made with. */
export interface TrustTools {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

/** A list that is shipped with Assay; `data/README.md` says what each has. */
const readData = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../data/${name}`, import.meta.url), "utf8"))
const deniedKeys = (): DeniedKeys => parseDeniedKeys(readData("denied-keys.json"))
const advisories = (): Advisories => parseAdvisories(readData("tpm-advisories.json"))

/** Lets others have the event loop. */
export const breathe = (): Promise<void> => setImmediate()

/** What is made of a tenant's trust. */
export const openTrust = (
  config: Config,
  { trust: store }: Pick<Ports, "trust">,
  { clock, random, log }: TrustTools,
) => {
  const denied = deniedKeys()
  // One parser for both, so that a CRL is held once.
  const parse = createParseTrust(breathe)
  const loader = createLoadTrust({ store, parse, denied, clock })
  const { hosts, intervalSeconds, timeoutSeconds, maxBytes } = config.trust.refresh
  const refresh = createRefresh({
    store,
    parse,
    fetch: createFetch({ hosts, maxBytes, timeoutMs: timeoutSeconds * 1000 }),
    denied,
    clock,
    breathe,
    jitter: () => (random.bytes(1)[0] ?? 0) / 255,
    hosts,
  })
  const refresher = createRefresher({
    refresh,
    tenants: [TENANT],
    clock,
    intervalMs: intervalSeconds * 1000,
    observe: {
      passed: ({ tenant, outcomes }) => {
        if (outcomes.changed + outcomes.failed > 0) log.info({ tenant, ...outcomes }, "refreshed trust")
      },
      failed: (tenant, error) => log.error({ tenant, err: error }, "could not refresh trust"),
    },
  })
  const trusts = cachedLoadTrust(loader.loadTrust, { max: TENANTS_MAX })
  const unready = async () => [await withoutAnchors(store), ...refresher.unready()]
  return { denied, known: advisories(), trusts, refresh, refresher, unready, unreadyToLoad: loader.unready }
}

/** Trust, with what readiness asks. */
export type OpenTrust = ReturnType<typeof openTrust>

/** Why a server that trusts nobody is not ready. */
const withoutAnchors = async (trust: TrustStore): Promise<string | undefined> => {
  try {
    const { anchors } = await trust.trustState(TENANT)
    return anchors === 0 ? "no trust anchor is installed: import one with `assay trust import`" : undefined
  } catch {
    // What else is wrong with the store, it says itself.
    return "what is trusted cannot be read"
  }
}

/** The maker of software TPMs that development mode made in a data folder, as PEM, if it did. @throws {AssayError} SIGNER. */
export const softwareMaker = (folder: string): Uint8Array | undefined =>
  readPrivateFile(join(folder, SOFTWARE_MAKER))

/**
 * In development mode, makes a maker of software TPMs and trusts it, the first time, and in a store that trusted nothing yet:
 * what an operator took away stays away. Outside of it, takes that trust away.
 *
 * @throws {AssayError} SIGNER, REGISTRY.
 */
export const prepareTrust = async (
  { development }: Config,
  folder: string,
  ports: DevelopmentPorts,
  { random, log }: Pick<TrustTools, "random" | "log">,
): Promise<void> => {
  const maker = softwareMaker(folder)
  if (!development) {
    const removed = await distrustSoftwareMakers(ports, TENANT, maker)
    if (removed > 0) log.warn({ removed }, "removed trust anchors of development mode")
    return
  }
  if (maker === undefined) await makeSoftwareMaker(folder, random)
  else if ((await ports.trust.trustState(TENANT)).generation > 0) return
  const pem = softwareMaker(folder)
  if (pem !== undefined) await trustSoftwareMaker(ports, TENANT, pem)
}

const makeSoftwareMaker = async (folder: string, random: Random): Promise<void> => {
  // Loaded only here: the certificate library costs every other start its time.
  const { createTpmMaker, writeTpmMaker } = await import("../device/ek.ts")
  const pem = utf8(await writeTpmMaker(await createTpmMaker()))
  createPrivateFile(join(folder, SOFTWARE_MAKER), pem, random)
}
