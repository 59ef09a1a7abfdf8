/** Each part of a stream of answers is asked for in its caller's turn, and waits for that as long as there is somebody to tell. */
import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAdminClient } from "../../src/client/admin.ts"
import { createAttestationClient } from "../../src/client/attestation.ts"
import type { ExportedPart } from "../../src/service/export-journal.ts"
import type { Service } from "../../src/service/service.ts"
import { rejectsCode } from "../support/assert.ts"
import { device, goodVerify, result, running } from "./fake.ts"
import { pause, until } from "./raw.ts"

const test = suite("turns of streams")
const ROLES = ["gateway", "auditor", "operator"] as const
const credentials = ROLES.map((role) => ({
  name: role,
  role,
  tenant: "default",
  sha256: hash("sha256", `secret-of-${role}`, "buffer"),
}))
const DRAIN_MS = 1000
/** One at a time, and whatever waits meanwhile is not refused for that. */
const GATED = { runningMax: 1, waitMs: 60_000, drainMs: DRAIN_MS }
/** For what waits to go on, if it did. */
const WAITED_MS = 300
const PART: ExportedPart = { kind: "entries", entries: [] }

/** A server with one place, which Verify takes. */
const withOnePlace = async (
  streams: (take: () => Promise<void>) => Partial<Service>,
  body: (place: Awaited<ReturnType<typeof onePlace>>) => Promise<void>,
  limits: { readonly waitingMax?: number } = {},
): Promise<void> => {
  const place = await onePlace(streams, limits)
  try {
    await body(place)
  } finally {
    await place.close()
  }
}
const onePlace = async (
  streams: (take: () => Promise<void>) => Partial<Service>,
  limits: { readonly waitingMax?: number },
) => {
  const ends: (() => void)[] = []
  const asked: Promise<unknown>[] = []
  let begun = 0
  const verify: Service["verify"] = async () => {
    begun += 1
    await new Promise<void>((resolve) => ends.push(resolve))
    return result()
  }
  const ask = (): void => void asked.push(gateway.verify(goodVerify()).catch(() => {}))
  const take = async (): Promise<void> => {
    const before = begun
    ask()
    await until(() => begun > before)
  }
  const server = await running({ verify, ...streams(take) }, { credentials, limits: { ...GATED, ...limits } })
  const [gateway, auditor, operator] = [
    createAttestationClient(server.address, { credential: "secret-of-gateway" }),
    createAdminClient(server.address, { credential: "secret-of-auditor" }),
    createAdminClient(server.address, { credential: "secret-of-operator" }),
  ]
  const free = (): void => {
    for (const end of ends.splice(0)) end()
  }
  return {
    ...{ server, auditor, operator, take, free },
    /** One more Verify, which waits for the place. */
    queue: async (): Promise<void> => {
      ask()
      await pause(WAITED_MS)
    },
    close: async (): Promise<void> => {
      for (const client of [gateway, auditor, operator]) client.close()
      const freeing = setInterval(free, 10)
      await Promise.all([server.stop(), ...asked])
      clearInterval(freeing)
    },
  }
}

/** How many of something have come, as they come, and when all have. */
const counted = (items: AsyncIterable<unknown>) => {
  const counting = { count: 0, all: Promise.resolve() }
  counting.all = (async () => {
    for await (const _ of items) counting.count += 1
  })()
  counting.all.catch(() => {})
  return counting
}

/** Two parts; while the first is made, somebody else takes the place. */
const twoParts = (take: () => Promise<void>): Partial<Service> => ({
  exportJournal: async function* () {
    await take()
    yield PART
    yield PART
  },
})

test("N-07 has a stream of answers wait for its turn before it is asked for anything", () =>
  withOnePlace(
    () => ({
      exportJournal: async function* () {
        yield PART
      },
    }),
    async ({ auditor, take, free }) => {
      await take()
      const exported = counted(auditor.exportJournal())
      await pause(WAITED_MS)
      assert.is(exported.count, 0)
      free()
      await exported.all
      assert.is(exported.count, 1)
    },
  ))

test("N-07 has each part of a stream of answers wait for its turn", () =>
  withOnePlace(twoParts, async ({ auditor, free }) => {
    const exported = counted(auditor.exportJournal())
    await pause(WAITED_MS)
    assert.is(exported.count, 1)
    free()
    await exported.all
    assert.is(exported.count, 2)
  }))

test("N-07 has small answers share a turn, and not all that there are", () =>
  withOnePlace(
    (take) => ({
      exportDevices: async function* () {
        await take()
        yield Array.from({ length: 120 }, () => device)
      },
    }),
    async ({ server, operator, queue, free }) => {
      const exported = counted(operator.exportDevices(""))
      await pause(WAITED_MS)
      assert.is(exported.count, 50)
      await queue()
      server.charge({ tenant: "default", id: "gateway" }, 1000) // so that its turn is the later one
      free()
      await pause(WAITED_MS)
      assert.is(exported.count, 100)
      free()
      await exported.all
      assert.is(exported.count, 120)
    },
  ))

test("N-07 has an export wait for its turn before each page, although nothing on it is wanted", () => {
  let pages = 0
  return withOnePlace(
    (take) => ({
      exportDevices: async function* () {
        await take()
        for (; pages < 2; pages += 1) yield []
        yield [device]
      },
    }),
    async ({ operator, free }) => {
      const exported = counted(operator.exportDevices("freshness=fresh"))
      await pause(WAITED_MS)
      assert.is(pages, 0)
      free()
      await exported.all
      assert.is(exported.count, 1)
    },
  )
})

test("G-06 refuses a stream while there is no room, and has one that has begun wait instead", () =>
  withOnePlace(
    twoParts,
    async ({ server, auditor, queue, free }) => {
      const exported = counted(auditor.exportJournal())
      await until(() => exported.count === 1)
      await queue()
      server.charge({ tenant: "default", id: "auditor" }, 1000) // so that it is not whom others are refused for
      await rejectsCode(() => counted(auditor.exportJournal({ deadlineMs: 1000 })).all, "OVERLOADED")
      await pause(WAITED_MS)
      free()
      await pause(WAITED_MS)
      free()
      await exported.all
      assert.is(exported.count, 2)
    },
    { waitingMax: 1 },
  ))

test("S-08 tells a stream that waits for its turn of a shutdown as it begins", () =>
  withOnePlace(twoParts, async ({ server, auditor }) => {
    const exported = counted(auditor.exportJournal())
    await until(() => exported.count === 1)
    await pause(WAITED_MS)
    const stopped = server.stop()
    await rejectsCode(() => exported.all, "SHUTTING_DOWN")
    await stopped
  }))

test("N-07 reads nothing for a stream whose caller has left while it waited for its turn", () => {
  let reads = 0
  return withOnePlace(
    () => ({
      exportJournal: async function* () {
        reads += 1
        yield PART
      },
    }),
    async ({ auditor, take, free }) => {
      await take()
      const leaving = new AbortController()
      const exported = counted(auditor.exportJournal({ signal: leaving.signal }))
      await pause(WAITED_MS)
      leaving.abort()
      await exported.all.catch(() => {})
      await pause(50)
      free()
      await pause(50)
      assert.is(reads, 0)
    },
  )
})

test.run()
