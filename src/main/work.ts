/** A worker of a server, as its supervisor tells it to be. */
import { createSecretKey, hash } from "node:crypto"
import type { Socket } from "node:net"
import { sameBytes } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { faultAt, passing } from "../faults.ts"
import type { AssayServer } from "../server/server.ts"
import { answerUse, type Members, type MemberUse, type MemberVerdict } from "../store/engine/members.ts"
import type { SealingKey } from "../store/engine/sealing.ts"
import { snapshotOf } from "../web/metrics-sum.ts"
import { joinCrew, type Member } from "../workers/member.ts"
import type { WorkerOffers } from "../workers/offers.ts"
import { boundHeap } from "./heap.ts"
import { listenersOf } from "./listeners.ts"
import { createLog } from "./log.ts"
import { type Cleanup, type Opened, open, type Place, reasonsToDecide } from "./open.ts"
import { createRpcServer } from "./rpc-server.ts"
import { wanting } from "./wanting.ts"
import { type AssayTrade, toSealingKey, type WorkerBegin } from "./workers.ts"

/** How long the owner of what is used has: a little more than the supervisor gives it. */
const USE_MS = 1500

/** Serves what the supervisor brings, until it says to stop. */
export function work(): void {
  const cleanup: Cleanup = []
  let keys: readonly SealingKey[] = []
  let heard = (): void => {}
  let server: AssayServer | undefined
  let opened: Opened | undefined
  let answer = async (_: MemberUse): Promise<MemberVerdict> => ({ kind: "gone" })

  const members: Members = {
    key: (id) => keys.find((key) => sameBytes(key.id, id)),
    use: (use) => crew.supervisor.ask("use", USE_MS, use),
  }
  const placeOf = ({ member, own, epoch, config, known }: WorkerBegin): Place => ({
    member,
    known,
    turns: crew.turns,
    want:
      config.trust.refresh.hosts.length === 0
        ? () => {}
        : wanting((...shown) => crew.supervisor.tell("want", ...shown)),
    memory: {
      options: { sealing: toSealingKey(own), epoch: createSecretKey(epoch) },
      members,
      counts: "elsewhere",
      owns: (singleUse) => {
        const use = (asked: MemberUse): Promise<MemberVerdict> => answerUse(singleUse, own.id, asked)
        const { fault } = config
        answer =
          fault === undefined
            ? use
            : passing(
                "owner.use",
                use,
                faultAt(fault, () => {}),
              )
      },
      nudges: {
        listen: (act) => {
          heard = act
        },
        send: () => crew.supervisor.tell("nudge"),
        close: async () => {},
      },
    },
  })
  const offers: WorkerOffers<AssayTrade> = {
    async begin(begin) {
      keys = begin.keys.map(toSealingKey)
      cleanup.push(boundHeap())
      const { config, member } = begin
      const log = createLog(config.logLevel).child({ worker: member })
      const parts = await open(config, log, cleanup, placeOf(begin))
      checkKeys(parts, begin)
      opened = parts
      const served = createRpcServer(config, parts, {
        listen: listenersOf(config, parts.folder),
        admin: undefined,
        brought: true,
      })
      await served.server.start()
      server = served.server
    },
    keys: (known) => {
      keys = known.map(toSealingKey)
    },
    ping: () => {},
    use: (use) => answer(use),
    reasons: async () =>
      opened === undefined
        ? ["it has not begun"]
        : [...(await reasonsToDecide(opened)), ...(server?.unready() ?? [])],
    metrics: async () => (opened === undefined ? [] : snapshotOf(opened.metrics.registry)),
    nudge: () => heard(),
    drain: async () => await server?.stop(),
    async stop() {
      for (const close of cleanup.splice(0).reverse()) await close()
      process.exit(0)
    },
  }
  const take = (listener: number, socket: Socket): void => {
    if (server === undefined) socket.destroy()
    else server.take(listener, socket)
  }
  const crew: Member<AssayTrade> = joinCrew<AssayTrade>(offers, take)
}

/** A file that was replaced since the supervisor read it would have tokens signed by a key that nobody publishes. */
const checkKeys = ({ signer, authority }: Opened, { signer: keyId, deviceCa }: WorkerBegin): void => {
  const isSame = signer.keyId === keyId && hash("sha256", authority.certificate.bytes) === deviceCa
  if (isSame) return
  throw new AssayError("SIGNER", "the keys are not those that the server was started with: restart it", {
    expected: keyId,
    actual: signer.keyId,
  })
}
