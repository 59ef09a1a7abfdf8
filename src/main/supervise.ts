/** A server of several processes: workers serve what this one accepts, and everything that is there once is here. */
import { createSecretKey, hash } from "node:crypto"
import type { Logger } from "pino"
import { sameBytes } from "../bytes.ts"
import type { Running } from "../cli/serve.ts"
import type { Config } from "../config.ts"
import { parseCertificate } from "../evidence/x509/certificate.ts"
import { createRandom } from "../keys/random.ts"
import { openDoors } from "../server/brought.ts"
import { LIMITS } from "../server/limits.ts"
import { answerUse, type MemberUse, type MemberVerdict } from "../store/engine/members.ts"
import { createSealingKey } from "../store/engine/memory.ts"
import { KEY_BYTES } from "../store/engine/sealing.ts"
import { turnsOfFile } from "../store/sqlite-database.ts"
import { type MetricsSum, sumMetrics } from "../web/metrics-sum.ts"
import { type Crew, createCrew } from "../workers/crew.ts"
import type { SupervisorOffers } from "../workers/offers.ts"
import { shareTurns } from "../workers/turns.ts"
import { adminOf, listenersOf } from "./listeners.ts"
import { type Cleanup, type Opened, open, type Place, reasonsOf, startBeside } from "./open.ts"
import { servePages } from "./pages.ts"
import { createRpcServer } from "./rpc-server.ts"
import { type AssayTrade, toMemberKey, toSealingKey } from "./workers.ts"

/** TypeScript in the checkout, JavaScript when it is built. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf("."))
const ENTRY = new URL(`./worker${EXTENSION}`, import.meta.url)

/** Between two looks at what the workers count: so much of it is lost with one that is killed. */
const METRICS_MS = 5000

/** Has `count` workers serve. @throws {AssayError} as `start`. */
export const supervise =
  (count: number) =>
  async (config: Config, log: Logger, cleanup: Cleanup): Promise<Omit<Running, "stop">> => {
    const hub = createHub()
    const parts = await open(config, log, cleanup, hub.place)
    const watched: (() => readonly string[] | string | Promise<readonly string[]>)[] = []
    startBeside(parts, cleanup)
    const ready = async (): Promise<readonly string[]> => {
      const more = await Promise.all(watched.map((unready) => unready()))
      return [...(await reasonsOf(parts)), ...more.flat()]
    }
    const sum = sumMetrics(parts.metrics.registry, async () => (await hub.crew?.metrics()) ?? [])
    const pages = await servePages(config, log, parts, { metrics: sum, ready }, cleanup)
    watched.push(pages.unready)
    parts.checkpointer.start()

    const admin = adminOf(config, parts.folder)
    const { server, credentials } = createRpcServer(config, parts, { listen: [], admin })
    watched.push(() => server.unready())
    const crew = createAssayCrew(count, { ...config, issuer: parts.settings.issuer }, parts, hub, sum)
    hub.crew = crew
    watched.push(() => crew.unready())
    await crew.start()
    cleanup.push(() => crew.stop(LIMITS.drainMs))
    const looking = setInterval(() => void sum.look(), METRICS_MS).unref()
    cleanup.push(() => clearInterval(looking))
    await server.start()
    cleanup.push(() => server.stop())
    const doors = await openDoors(listenersOf(config, parts.folder), config.development, crew.take)
    cleanup.push(() => doors.close())
    return { listen: doors.addresses, admin, ...pages.urls, credentials }
  }

/** What the supervisor itself has of the engine, and of what is shared. */
interface Hub {
  readonly place: Place
  readonly own: ReturnType<typeof createSealingKey>
  readonly epoch: Uint8Array
  readonly turns: ReturnType<typeof turnsOfFile>
  /** Nobody has anything to ask before it is there. */
  crew: Crew<AssayTrade> | undefined
  /** Has a use done by who owns it. */
  route(use: MemberUse): Promise<MemberVerdict>
  /** A worker has changed something. */
  heard(): void
  /** Answers what nobody else owns. */
  answer: (use: MemberUse) => Promise<MemberVerdict>
}

const createHub = (): Hub => {
  const random = createRandom()
  const own = createSealingKey(random)
  const epoch = random.bytes(KEY_BYTES)
  const turns = turnsOfFile()
  const hub: Hub = {
    own,
    epoch,
    turns,
    crew: undefined,
    heard: () => {},
    answer: async () => ({ kind: "gone" }),
    async route(use) {
      const owner = use.kind === "count" ? undefined : hub.crew?.ownerOf(use.keyId)
      if (owner === undefined) return hub.answer(use)
      try {
        return await owner.use(use)
      } catch (error) {
        // What it may have spent nobody spends again, for nobody has its key.
        if (!owner.lives()) return { kind: "gone" }
        throw error
      }
    },
    place: {
      member: undefined,
      turns,
      memory: {
        options: { sealing: own, epoch: createSecretKey(epoch) },
        members: {
          key: (id) => {
            const found = hub.crew?.keys().find((key) => sameBytes(key.id, id))
            return found && toSealingKey(found)
          },
          use: (use) => hub.route(use),
        },
        counts: "here",
        owns: (singleUse) => {
          hub.answer = (use) => answerUse(singleUse, own.id, use)
        },
        nudges: {
          listen: (heard) => {
            hub.heard = heard
          },
          send: () => hub.crew?.nudge(),
          close: async () => {},
        },
      },
    },
  }
  return hub
}

const createAssayCrew = (
  count: number,
  config: Config,
  { log, random, signer, authority, trust, agreement }: Opened,
  hub: Hub,
  sum: MetricsSum,
): Crew<AssayTrade> => {
  const turns = shareTurns(hub.turns)
  const crew: Crew<AssayTrade> = createCrew<AssayTrade>({
    count,
    entry: ENTRY,
    createKey: () => toMemberKey(createSealingKey(random)),
    ownKey: toMemberKey(hub.own),
    begin: (member, own, keys) => ({
      config,
      member,
      own,
      keys,
      epoch: hub.epoch,
      signer: signer.keyId,
      deviceCa: hash("sha256", authority.certificate.bytes),
      known: agreement.known(),
    }),
    offers: (member) =>
      ({
        ...turns.join(member),
        use: hub.route,
        nudge: () => {
          hub.heard()
          crew.nudge(member)
        },
        want: (tenant, chain, device) =>
          trust.refresh.want(
            tenant,
            chain.map((der) => parseCertificate(der)),
            device,
          ),
      }) satisfies Omit<SupervisorOffers<AssayTrade>, "closed">,
    // The logger has a pid of its own in each line.
    serving: (member, workerPid) => log.info({ member, workerPid }, "a worker serves"),
    ended: (member, reason) => {
      turns.leave(member)
      sum.left(member)
      log.warn({ member, reason }, "a worker has ended")
    },
    failed: (member, err) => log.error({ member, err }, "a worker could not begin"),
  })
  return crew
}
