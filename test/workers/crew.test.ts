import { randomBytes } from "node:crypto"
import { type AddressInfo, connect, createServer, Socket } from "node:net"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { Turns } from "../../src/store/turns.ts"
import { type Crew, createCrew } from "../../src/workers/crew.ts"
import type { MemberKey } from "../../src/workers/offers.ts"
import { shareTurns } from "../../src/workers/turns.ts"
import { waitUntil } from "../support/engines.ts"
import type { TestTrade } from "./trade.ts"

const test = suite("createCrew")
const ANSWER_MS = 6000
const LIMITS = { pingMs: 50, lateMs: 400, hungMs: 1000, backoffMs: 10, backoffMsMax: 50 }

/** A crew, and what became of its workers. */
interface Scene {
  readonly crew: Crew<TestTrade>
  readonly ended: string[]
  readonly failed: unknown[]
  /** Has a worker do something to itself. */
  readonly have: (key: MemberKey, what: string) => Promise<string>
  fails: boolean
}

const newKey = (): MemberKey => ({ id: randomBytes(8), bytes: randomBytes(32) })

/** Runs `act` with a crew of `count`, and ends it. */
const withCrew = async (count: number, act: (scene: Scene) => Promise<void>): Promise<void> => {
  const turns = shareTurns(new Turns(1, 3000))
  const ended: string[] = []
  const failed: unknown[] = []
  const crew = createCrew<TestTrade>({
    count,
    entry: new URL("./entry.ts", import.meta.url),
    limits: LIMITS,
    ownKey: newKey(),
    createKey: newKey,
    begin: (_member, _key, keys) => ({
      keys: keys.map(({ id }) => Buffer.from(id).toString("hex")),
      fails: scene.fails,
    }),
    offers: (member) => ({
      ...turns.join(member),
      use: async (use) => use,
      nudge: () => {},
      want: () => {},
    }),
    serving: () => {},
    ended: (member, reason) => {
      turns.leave(member)
      ended.push(reason)
    },
    failed: (_member, error) => failed.push(error),
  })
  const have = async (key: MemberKey, what: string): Promise<string> => {
    const owner = crew.ownerOf(key.id)
    if (owner === undefined) throw new Error("nobody owns it")
    return owner.use(what)
  }
  const scene: Scene = { crew, ended, failed, have, fails: false }
  try {
    await crew.start()
    await act(scene)
  } finally {
    scene.fails = false
    await crew.stop(100)
  }
}

const workerKeys = ({ crew }: Scene): readonly MemberKey[] => crew.keys().slice(1)
const reasons = async ({ crew }: Scene): Promise<string> => (await crew.unready()).join()
/** All say only what every test worker says. */
const isWell = async (scene: Scene): Promise<boolean> => !/not there|not answer/.test(await reasons(scene))

const ways: readonly [way: string, ends: RegExp, unready: RegExp][] = [
  ["die", /status 3/, /worker \d is not there/],
  ["be killed", /SIGKILL/, /worker \d is not there/],
  ["throw asynchronously", /status 4/, /worker \d is not there/],
  ["hang", /SIGKILL/, /worker \d does not answer/],
  ["stop", /SIGKILL/, /worker \d does not answer/],
]
for (const [way, ends, unready] of ways)
  test(`refuses S-08 to be ready when one is made to ${way}, and has another one with another key soon`, () =>
    withCrew(2, async (scene) => {
      const [key] = workerKeys(scene)
      if (key === undefined) throw new TypeError("a worker")
      const answer = scene.have(key, way).catch(() => "nothing")
      await waitUntil(3000, async () => unready.test(await reasons(scene)))
      await answer
      await waitUntil(5000, async () => scene.ended.length === 1 && (await isWell(scene)))
      assert.match(scene.ended[0] ?? "", ends)
      assert.is(scene.crew.ownerOf(key.id), undefined)
      const keys = workerKeys(scene)
      assert.is(keys.length, 2)
      // All know each other again, and nobody the one that has ended.
      const known = await Promise.all(keys.map((one) => scene.have(one, "keys")))
      assert.is(new Set(known).size, 1)
      assert.not.match(known[0] ?? "", new RegExp(Buffer.from(key.id).toString("hex")))
      for (const one of keys) assert.match(known[0] ?? "", new RegExp(Buffer.from(one.id).toString("hex")))
    }))

test("refuses S-08 to wait for one that has ended while it was asked", () =>
  withCrew(1, async (scene) => {
    const [key] = workerKeys(scene)
    const owner = key && scene.crew.ownerOf(key.id)
    if (owner === undefined) throw new TypeError("a worker")
    const start = performance.now()
    await owner.use("be killed").then(
      () => assert.unreachable(),
      () => {},
    )
    assert.ok(performance.now() - start < 900)
    assert.is(owner.lives(), false)
  }))

test("refuses S-08 a turn for ever to one that holds it and ends", () =>
  withCrew(2, async (scene) => {
    const [one, other] = workerKeys(scene)
    if (one === undefined || other === undefined) throw new TypeError("two workers")
    await scene.have(one, "hold a turn")
    const waits = scene.have(other, "take a turn").catch(() => "late")
    await scene.have(one, "die").catch(() => {})
    assert.is(await waits, "taken")
  }))

test("tries again for as long as one does not begin, and says so", () =>
  withCrew(1, async (scene) => {
    const [key] = workerKeys(scene)
    if (key === undefined) throw new TypeError("a worker")
    scene.fails = true
    await scene.have(key, "die").catch(() => {})
    await waitUntil(4000, () => scene.failed.length > 1)
    assert.match(await reasons(scene), /worker 1 is not there/)
    scene.fails = false
    await waitUntil(4000, () => isWell(scene))
  }))

/** What nobody looks at. */
const QUIET = {
  entry: new URL("./entry.ts", import.meta.url),
  ownKey: newKey(),
  createKey: newKey,
  offers: () => ({
    turn: async () => {},
    turnEnds: () => {},
    use: async (use: string) => use,
    nudge: () => {},
    want: () => {},
  }),
  serving: () => {},
  ended: () => {},
  failed: () => {},
}

test("does not start where one does not begin, and leaves none", async () => {
  const begin = (member: number) => ({ keys: [], fails: member === 2 })
  const crew = createCrew<TestTrade>({ ...QUIET, count: 2, begin })
  await crew.start().then(
    () => assert.unreachable(),
    ({ message }) => assert.match(message, /does not begin/),
  )
  assert.is(crew.keys().length, 1)
})

/** Has the crew serve connections, and gives what makes one: it resolves with what it is answered. */
const serving = async ({ crew }: Scene) => {
  const server = createServer({ pauseOnConnect: true }, (socket) => crew.take(7, socket)).unref()
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", () => done()))
  const { port } = server.address() as AddressInfo
  const served = (): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = ""
      connect(port, "127.0.0.1")
        .on("data", (chunk) => {
          text += String(chunk)
        })
        .on("end", () => resolve(text))
        .on("error", reject)
        .setTimeout(ANSWER_MS, () => reject(new Error("nobody answers")))
    })
  return { server, served }
}

for (const [way, count] of [
  ["stop", 8],
  ["hang", 8],
  ["be killed", 20],
  ["die", 20],
] as const)
  test(`refuses S-08 to lose the ${count} connections that come when one is made to ${way}`, () =>
    withCrew(2, async (scene) => {
      const { server, served } = await serving(scene)
      await Promise.all(Array.from({ length: 4 }, served))
      const [key] = workerKeys(scene)
      if (key === undefined) throw new TypeError("a worker")
      void scene.have(key, way).catch(() => {})
      // What is on its way to it is lost, and ends at once; all others have to be answered.
      const answers = await Promise.allSettled(Array.from({ length: count }, served))
      const answered = answers.filter((one) => one.status === "fulfilled" && /^\d+ 7$/.test(one.value))
      assert.ok(answered.length >= count - 2, `${answered.length} of ${count}`)
      await waitUntil(5000, async () => scene.ended.length === 1 && (await isWell(scene)))
      const open = await new Promise<number>((resolve) => server.getConnections((_, all) => resolve(all)))
      assert.is(open, 0, "whoever is answered takes nothing of the one that brought him")
      server.close()
    }))

test("brings connections to whoever has fewest, and has them wait while nobody is there", () =>
  withCrew(2, async (scene) => {
    const { server, served } = await serving(scene)
    const answers = await Promise.all(Array.from({ length: 10 }, served))
    assert.is(new Set(answers).size, 2)
    for (const answer of answers) assert.match(answer, /^\d+ 7$/)
    for (const key of workerKeys(scene)) void scene.have(key, "die").catch(() => {})
    await waitUntil(2000, () => scene.ended.length === 2)
    assert.match(await served(), /^\d+ 7$/)
    server.close()
  }))

test("refuses S-08 to have more connections wait than there may be, and ends those that wait when it ends", async () => {
  const crew = createCrew<TestTrade>({ ...QUIET, count: 1, begin: () => ({ keys: [], fails: false }) })
  const sockets = Array.from({ length: 1030 }, () => new Socket())
  for (const socket of sockets) crew.take(0, socket)
  const open = (): number => sockets.filter(({ destroyed }) => !destroyed).length
  assert.is(open(), 1024)
  assert.ok(
    sockets.slice(0, 1024).every(({ destroyed }) => !destroyed),
    "whoever came first waits",
  )
  await crew.stop(100)
  assert.is(open(), 0)
})

test("refuses S-08 to count what one has counted that ended before all have answered", () =>
  withCrew(2, async (scene) => {
    const [one, other] = workerKeys(scene)
    if (one === undefined || other === undefined) throw new TypeError("two workers")
    assert.equal(
      (await scene.crew.metrics()).map(([member]) => member),
      [1, 2],
    )
    void scene.have(other, "hang").catch(() => {})
    const counted = scene.crew.metrics()
    // It answers in the order in which it was asked.
    await scene.have(one, "keys")
    await scene.have(one, "die").catch(() => {})
    assert.equal(await counted, [])
  }))

test.run()
