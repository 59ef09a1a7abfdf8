import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Code } from "../../src/errors.ts"
import { Admission, type AdmissionLimits } from "../../src/server/admission.ts"
import { rejectsCode } from "../support/assert.ts"

const LIMITS: AdmissionLimits = { runningMax: 4, waitingMax: 40, waitMs: 1e9 }
const stays = () => false

/** An admission whose requests take until they are ended, one each turn of the loop. */
const admitting = (limits: Partial<AdmissionLimits> = {}, partyOf = (caller: string): string => caller) => {
  const begun: string[] = []
  const refused: string[] = []
  const ends: (() => void)[] = []
  const waits: number[] = []
  const waited = (seconds: number): void => void waits.push(seconds)
  const admission = new Admission({ ...LIMITS, ...limits }, { waited, partyOf })
  const ask = (caller: string, bytes = 0, isGone = stays): void => {
    admission.enter(caller, bytes, isGone).then(
      (end) => {
        if (end === undefined) return
        begun.push(caller)
        ends.push(end)
      },
      ({ code }: { code: Code }) => refused.push(`${caller} ${code}`),
    )
  }
  return { admission, begun, refused, ends, waits, ask }
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
const drain = async (ends: (() => void)[]): Promise<void> => {
  for (let i = 0; i < 500; i++) {
    for (const end of ends.splice(0)) end()
    await turn()
  }
}

const test = suite("Admission")

test("begins what comes, and no more at a time than may run", async () => {
  const { admission, begun, ends, ask } = admitting()
  for (let i = 0; i < 10; i++) ask("a")
  assert.is(begun.length, 0, "not before what has come by now is read")
  await turn()
  assert.equal([begun.length, admission.running, admission.waiting], [4, 4, 6])
  const [end] = ends
  end?.()
  end?.()
  await turn()
  assert.equal([begun.length, admission.running, admission.waiting], [5, 4, 5], "an end counts once")
  await drain(ends)
  assert.equal([begun.length, admission.running, admission.waiting], [10, 0, 0])
})
/** How many are begun in the busiest turn, when each takes a tenth of a millisecond and the sockets take so long in each. */
const mostAtOnce = async (socketsMs: number): Promise<number> => {
  let now = 0
  let begun = 0
  const limits = { runningMax: 1e9, waitingMax: 1e9, waitMs: 1e9 }
  const admission = new Admission(limits, { waited: () => {} }, () => now)
  for (let i = 0; i < 3000; i++)
    void admission.enter("a", 0, stays).then((end) => {
      begun += 1
      now += 0.1
      end?.()
    })
  let most = 0
  while (admission.waiting > 0) {
    const before = begun
    await new Promise((resolve) => setImmediate(resolve))
    most = Math.max(most, begun - before)
    now += socketsMs
  }
  return most
}
test("N-07 begins more at a time where the sockets take long: those who are refused leave time for the others", async () => {
  assert.ok((await mostAtOnce(1)) <= 64)
  const most = await mostAtOnce(100)
  assert.ok(most > 200 && most <= 512, `${most}`)
})
test("N-07 begins no more at a time for few having taken little", async () => {
  const { begun, ends, ask } = admitting({ runningMax: 1e9, waitingMax: 1e9 })
  for (let i = 0; i < 100; i++) {
    ask("a")
    await turn()
    ends.pop()?.()
  }
  assert.is(begun.splice(0).length, 100)
  for (let i = 0; i < 400; i++) ask("a")
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(begun.length <= 64, `${begun.length}`)
  await drain(ends)
  assert.is(begun.length, 400)
})
test("takes turns, whoever came first with however many", async () => {
  const { begun, ends, ask } = admitting({ runningMax: 1 })
  for (let i = 0; i < 30; i++) ask("many")
  for (let i = 0; i < 4; i++) ask("few")
  await drain(ends)
  assert.is(begun.length, 34)
  assert.ok(begun.lastIndexOf("few") < 10, begun.join(" "))
})
test("counts a request by what it weighs: large ones do not buy more than small ones", async () => {
  const { begun, ends, ask } = admitting({ runningMax: 1 })
  for (let i = 0; i < 5; i++) ask("large", 1024 * 1024)
  for (let i = 0; i < 30; i++) ask("small", 800)
  await drain(ends)
  assert.is(begun.length, 35)
  assert.is(begun.slice(0, 31).filter((caller) => caller === "large").length, 1, begun.join(" "))
})
test("N-07 counts a request by the time that it took: dear ones do not buy more than cheap ones", async () => {
  const { admission, begun, ends, ask } = admitting({ runningMax: 1 })
  for (let i = 0; i < 10; i++) ask("dear")
  for (let i = 0; i < 30; i++) ask("cheap")
  for (let i = 0; i < 100; i++) {
    await turn()
    if (ends.length > 0 && begun.at(-1) === "dear") admission.charge("dear", 2.5)
    for (const end of ends.splice(0)) end()
  }
  assert.is(begun.length, 40)
  assert.is(begun.slice(0, 20).filter((caller) => caller === "dear").length, 1, begun.join(" "))
})
test("N-07 begins few at a time of what is expected to take long, for a caller's requests have", async () => {
  const { admission, begun, ends, ask } = admitting({ runningMax: 1e9, waitingMax: 1e9 })
  const atOnce = async (): Promise<number> => {
    const before = begun.length
    for (let i = 0; i < 20; i++) ask("dear")
    await turn()
    return begun.length - before
  }
  assert.is(await atOnce(), 20, "nothing is known of it")
  for (let i = 0; i < 20; i++) admission.charge("dear", 5)
  for (const end of ends.splice(0)) end()
  const next = await atOnce()
  assert.ok(next >= 1 && next <= 6, `${next}`)
  await drain(ends)
  assert.equal([begun.length, admission.waiting], [40, 0])
})
test("N-07 takes the time of a request once, whether it was expected or not", async () => {
  const { admission, begun, ends, ask } = admitting({ runningMax: 1, waitingMax: 1e6 })
  for (let i = 0; i < 2000; i++) {
    ask("dear")
    ask("cheap")
  }
  for (let i = 0; i < 1600; i++) {
    await turn()
    // Five requests' time beside its own.
    if (ends.length > 0 && begun.at(-1) === "dear") admission.charge("dear", 0.625)
    for (const end of ends.splice(0)) end()
  }
  const dear = begun.filter((caller) => caller === "dear").length
  const ratio = (begun.length - dear) / dear
  assert.ok(ratio > 5.5 && ratio < 6.5, `${ratio}`)
})
test("N-07 does not forget what a caller owes when what it asked was refused", async () => {
  const { admission, begun, refused, ends, ask } = admitting({ runningMax: 1, waitingMax: 20 })
  for (let i = 0; i < 100; i++) {
    ask("dear")
    await turn()
    ends.pop()?.()
  }
  assert.is(begun.splice(0).length, 100)
  // Of so many, it does not say much of the next.
  admission.charge("dear", 12.5)
  ask("dear")
  for (let i = 0; i < 20; i++) ask("cheap")
  assert.is(admission.waiting, 20)
  await turn()
  assert.equal(refused, ["dear OVERLOADED"])
  ask("dear")
  await drain(ends)
  assert.is(begun.indexOf("dear"), 20, begun.join(" "))
})
test("refuses N-07 whoever asks for what is dearest, if there is no room, though others ask more often", async () => {
  const { admission, refused, ask } = admitting({ runningMax: 1, waitingMax: 20 })
  for (let i = 0; i < 16; i++) ask("cheap")
  for (let i = 0; i < 4; i++) ask("dear")
  admission.charge("dear", 2.5)
  ask("cheap")
  await turn()
  assert.equal(refused, ["dear OVERLOADED"])
})
test("refuses N-07 whoever was refused much already, if there is no room, though others were begun more often", async () => {
  const { begun, refused, ends, ask } = admitting({ runningMax: 1, waitingMax: 20 })
  for (let i = 0; i < 60; i++) {
    ask("modest")
    await turn()
    ends.pop()?.()
  }
  assert.is(begun.length, 60)
  for (let i = 0; i < 420; i++) ask("flood")
  for (let i = 0; i < 10; i++) ask("modest")
  await turn()
  assert.not.ok(refused.includes("modest OVERLOADED"), `${refused.length}`)
  assert.ok(refused.length >= 400)
})
/** How many of the other are begun before the first of a caller who owes for a lot, so long after. */
const begunBefore = async (laterMs: number, partyOf: (caller: string) => string): Promise<number> => {
  const clock = { now: 0 }
  const begun: string[] = []
  const limits = { runningMax: 1, waitingMax: 1e6, waitMs: 1e9 }
  const admission = new Admission(limits, { waited: () => {}, partyOf }, () => clock.now)
  const ask = (caller: string): void =>
    void admission.enter(caller, 0, stays).then((end) => {
      begun.push(caller)
      end?.()
    })
  admission.charge("dear", 125)
  for (; clock.now < laterMs; clock.now += 100) {
    ask("cheap")
    await turn()
  }
  begun.length = 0
  for (let i = 0; i < 1200; i++) ask("cheap")
  ask("dear")
  for (let i = 0; i < 3000 && !begun.includes("dear"); i++) await turn()
  return begun.indexOf("dear")
}
for (const [whom, partyOf] of [
  ["others", (caller: string): string => caller],
  ["its party", (): string => "all"],
] as const)
  test(`N-07 forgives in time what a caller owes ${whom}`, async () => {
    const [soon, late] = [await begunBefore(100, partyOf), await begunBefore(4000, partyOf)]
    assert.ok(soon > 500, `${soon}`)
    assert.ok(late >= 0 && late < 100, `${late}`)
  })
test("N-07 lets who was refused much wait for who was not", async () => {
  const { begun, refused, ends, ask } = admitting({ runningMax: 1, waitingMax: 20 })
  for (let i = 0; i < 100; i++) ask("many")
  for (let i = 0; i < 9; i++) ask("few")
  assert.ok(refused.length <= 100)
  await drain(ends)
  assert.ok(begun.lastIndexOf("few") <= 9, begun.join(" "))
})
test("refuses N-07 whoever asks most when there is no room, and lets in who asks little", async () => {
  const { admission, begun, refused, ends, ask } = admitting({ runningMax: 1, waitingMax: 20 })
  for (let i = 0; i < 50; i++) ask("many")
  await turn()
  ask("many")
  assert.ok(admission.refuses("many"))
  assert.not.ok(admission.refuses("few"))
  const before = refused.length
  for (let i = 0; i < 5; i++) ask("few")
  await turn()
  assert.equal(
    refused.slice(before),
    Array(5)
      .fill("many OVERLOADED")
      .slice(0, refused.length - before),
  )
  assert.not.ok(refused.some((one) => one.startsWith("few")))
  await drain(ends)
  assert.is(begun.filter((caller) => caller === "few").length, 5)
  assert.not.ok(admission.refuses("many"), "there is room again")
})
for (const callers of [2, 5, 20])
  test(`refuses N-07 more than its share to each of ${callers} callers that ask too much`, async () => {
    const { begun, ends, ask } = admitting({ runningMax: 1, waitingMax: 40 })
    for (let i = 0; i < 100; i++) for (let caller = 0; caller < callers; caller++) ask(`${caller}`)
    await drain(ends)
    const counts = Array.from({ length: callers }, (_, i) => begun.filter((one) => one === `${i}`).length)
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 2, counts.join(" "))
  })
test("refuses N-07 what would have to wait too long, as it is measured", async () => {
  const clock = { now: 0 }
  const ends: (() => void)[] = []
  let refusals = 0
  const admission = new Admission(
    { runningMax: 1, waitingMax: 1e6, waitMs: 100 },
    { waited: () => {} },
    () => clock.now,
  )
  const ask = (): void => {
    admission.enter("a", 0, stays).then(
      (end) => end && ends.push(end),
      () => refusals++,
    )
  }
  for (let i = 0; i < 300; i++) ask()
  // One in ten milliseconds.
  const pass = async (): Promise<void> => {
    for (let i = 0; i < 90; i++) {
      clock.now += 10
      await turn()
      ends.shift()?.()
    }
  }
  await pass()
  ask()
  await turn()
  assert.is(refusals, 0, "what comes at once may wait")
  await pass()
  for (let i = 0; i < 20; i++) ask()
  await turn()
  assert.ok(refusals >= 20, `${refusals}`)
})
/** Callers are of one party if their names have the same first letter. */
const byLetter = (caller: string): string => caller.slice(0, 1)
const countIn = (all: readonly string[], caller: string): number =>
  all.filter((one) => one.startsWith(caller)).length
test("refuses N-07 what comes while nothing ends, after a moment and not before, and begins what waits when it does", async () => {
  let now = 0
  const refused: string[] = []
  const begun: string[] = []
  const ends: (() => void)[] = []
  const limits = { runningMax: 4, waitingMax: 4096, waitMs: 100 }
  const admission = new Admission(limits, { waited: () => {} }, () => now)
  const ask = (caller: string): void =>
    void admission.enter(caller, 0, stays).then(
      (end) => {
        begun.push(caller)
        if (end !== undefined) ends.push(end)
      },
      () => refused.push(caller),
    )
  for (let i = 0; i < 4; i++) ask("many")
  await turn()
  now = 5000 // no longer than calls may take while nobody waits
  for (const until = now + 300; now < until; now += 3) {
    assert.is(admission.refuses("many"), false)
    ask("many")
    await turn()
  }
  assert.equal([admission.running, admission.waiting, refused], [4, 100, []])
  for (now += 10; now < 10_000; now += 10) {
    assert.is(admission.refuses("many"), true, "unread")
    ask("many")
    await turn()
  }
  assert.equal([admission.waiting, begun.length], [100, 4])
  refused.splice(0)
  ask("few")
  assert.is(admission.refuses("few"), false)
  await turn()
  assert.equal([admission.waiting, refused], [100, ["many"]], "one of many's goes for it, and not all")
  await drain(ends)
  assert.equal([admission.running, admission.waiting, begun.length], [0, 0, 104])
  assert.ok(begun.includes("few"))
  refused.splice(0)
  for (const until = now + 1500; now < until; now += 10) {
    ask("many")
    await turn()
    for (const end of ends.splice(0)) end()
  }
  assert.equal(refused, [], "as if nothing had been")
})
test("N-07 gives a party of many as many turns as one caller, and the same to each of the many", async () => {
  const { begun, ends, ask } = admitting({ runningMax: 1, waitingMax: 1e6 }, byLetter)
  for (let i = 0; i < 40; i++) for (let member = 0; member < 20; member++) ask(`many-${member}`)
  for (let i = 0; i < 200; i++) ask("gateway")
  await drain(ends)
  const first = begun.slice(0, 400)
  const ofOne = countIn(first, "gateway")
  assert.ok(ofOne >= 190 && ofOne <= 200, `${ofOne}`)
  const ofEach = Array.from({ length: 20 }, (_, i) => first.filter((one) => one === `many-${i}`).length)
  assert.ok(Math.max(...ofEach) - Math.min(...ofEach) <= 4, ofEach.join(" "))
})
test("N-07 lets a party owe what its members take, each for the others", async () => {
  const { admission, begun, ends, ask } = admitting({ runningMax: 1 }, byLetter)
  for (let i = 0; i < 10; i++) ask(`dear-${i}`)
  for (let i = 0; i < 30; i++) ask("cheap")
  for (let i = 0; i < 100; i++) {
    await turn()
    const last = begun.at(-1) ?? ""
    if (ends.length > 0 && last.startsWith("dear")) admission.charge(last, 2.5)
    for (const end of ends.splice(0)) end()
  }
  assert.is(begun.length, 40)
  assert.is(countIn(begun.slice(0, 20), "dear"), 1, begun.join(" "))
})
test("N-07 lets who owes wait for the others of its party", async () => {
  const { admission, begun, ends, ask } = admitting({ runningMax: 1 }, byLetter)
  admission.charge("party-dear", 12.5)
  for (let i = 0; i < 5; i++) ask("party-dear")
  for (let i = 0; i < 20; i++) ask("party-cheap")
  await drain(ends)
  assert.is(begun.length, 25)
  assert.is(begun.lastIndexOf("party-cheap"), 19, begun.join(" "))
})
test("refuses N-07 members of a party that asks most, though another asks more than each of them", async () => {
  const { admission, refused, ask } = admitting({ runningMax: 1, waitingMax: 40 }, byLetter)
  for (let i = 0; i < 12; i++) ask("gateway")
  for (let i = 0; i < 28; i++) ask(`many-${i}`)
  assert.ok(admission.refuses("many-3"))
  assert.not.ok(admission.refuses("gateway"))
  for (let i = 0; i < 4; i++) ask("gateway")
  await turn()
  assert.is(refused.length, 4, refused.join(" "))
  assert.is(countIn(refused, "many"), 4)
})
test("refuses N-07 unread those of a party who make it ask most, those too of whom none waits", async () => {
  const clock = { now: 1 }
  const limits = { runningMax: 1e6, waitingMax: 20, waitMs: 1e9 }
  const admission = new Admission(limits, { waited: () => {}, partyOf: byLetter }, () => clock.now)
  const begin = async (caller: string, count: number): Promise<void> => {
    for (let i = 0; i < count; i++)
      admission.enter(caller, 0, stays).then(
        (end) => end?.(),
        () => {},
      )
    clock.now += 51
    await turn()
  }
  for (let member = 0; member < 8; member++) await begin(`many-${member}`, 12)
  await begin("many-modest", 1)
  await begin("gateway", 12)
  for (let i = 0; i < 20; i++) void admission.enter("many-7", 0, stays).catch(() => {})
  assert.ok(admission.refuses("many-6"), "none of it waits")
  assert.not.ok(admission.refuses("many-modest"))
  assert.not.ok(admission.refuses("gateway"))
})
test("refuses N-07 of a party whoever asks most of it, and not who asks little", async () => {
  const { admission, begun, refused, ends, ask } = admitting({ runningMax: 1, waitingMax: 40 }, byLetter)
  for (let i = 0; i < 30; i++) ask("party-greedy")
  for (let i = 0; i < 10; i++) ask("other")
  await turn()
  ask("party-modest")
  assert.ok(admission.refuses("party-greedy"))
  assert.not.ok(admission.refuses("party-modest"))
  for (let i = 0; i < 5; i++) ask("party-modest")
  await drain(ends)
  assert.is(countIn(begun, "party-modest"), 6)
  assert.is(countIn(refused, "party-greedy"), refused.length)
  assert.ok(refused.length > 0)
})
test("refuses N-07 of a party whoever has had most of it, and not who comes with many at once", async () => {
  const { begun, refused, ends, ask } = admitting({ runningMax: 1, waitingMax: 20 }, byLetter)
  for (let i = 0; i < 60; i++) {
    ask("party-steady")
    await turn()
    ends.pop()?.()
  }
  assert.is(begun.length, 60)
  for (let i = 0; i < 9; i++) ask("party-steady")
  for (let i = 0; i < 15; i++) ask("party-burst")
  await turn()
  assert.ok(refused.length >= 3, `${refused.length}`)
  assert.is(countIn(refused, "party-steady"), refused.length)
})
test("N-07 does not forget what one owes its party when what it asked was refused", async () => {
  const { admission, begun, refused, ends, ask } = admitting({ runningMax: 1, waitingMax: 20 }, byLetter)
  for (let i = 0; i < 100; i++) {
    ask("party-dear")
    await turn()
    ends.pop()?.()
  }
  assert.is(begun.splice(0).length, 100)
  // Of so many, it does not say much of the next.
  admission.charge("party-dear", 12.5)
  ask("party-cheap")
  await turn()
  ask("party-dear")
  for (let i = 0; i < 20; i++) ask("party-cheap")
  await turn()
  assert.equal(refused, ["party-dear OVERLOADED"])
  for (const end of ends.splice(0)) end()
  await turn()
  ask("party-dear")
  await drain(ends)
  assert.is(begun.indexOf("party-dear"), 21, begun.join(" "))
})
test("N-07 takes what waits for what others of its caller have turned out to take", async () => {
  const { admission, refused, ask } = admitting({ runningMax: 1, waitingMax: 24 })
  ask("dear")
  await turn()
  for (let i = 0; i < 4; i++) ask("dear")
  for (let i = 0; i < 20; i++) ask("cheap")
  admission.charge("dear", 1.25)
  ask("cheap")
  await turn()
  assert.equal(refused, ["dear OVERLOADED"])
})
/** Four seconds of a caller that asks for ten times what can be done, one request in a millisecond, beside one that asks for a part. */
const beside = async (burst: number, part = 1 / 5) => {
  const clock = { now: 0 }
  const ends: (() => void)[] = []
  const counts = { greedy: { begun: 0, refused: 0 }, modest: { begun: 0, refused: 0 } }
  const limits = { runningMax: 256, waitingMax: 4096, waitMs: 100 }
  const admission = new Admission(limits, { waited: () => {} }, () => clock.now)
  const ask = (caller: "greedy" | "modest"): void => {
    const of = counts[caller]
    if (admission.refuses(caller)) of.refused++
    else
      admission.enter(caller, 0, stays).then(
        (end) => {
          of.begun++
          if (end !== undefined) ends.push(end)
        },
        () => of.refused++,
      )
  }
  let due = 0
  for (clock.now = 0; clock.now < 4000; clock.now++) {
    for (let i = 0; i < 10; i++) ask("greedy")
    for (; due <= clock.now * part; due += burst) for (let i = 0; i < burst; i++) ask("modest")
    await turn()
    ends.shift()?.()
  }
  return counts
}
for (const burst of [1, 10, 40, 60])
  test(`refuses N-07 nothing to who asks for a fifth, ${burst} at once, beside one who asks for ten times too much`, async () => {
    const { greedy, modest } = await beside(burst)
    assert.is(modest.refused, 0)
    assert.ok(greedy.begun + modest.begun > 0.9 * 4000, `${greedy.begun} and ${modest.begun}`)
    assert.ok(greedy.refused > 25_000, `${greedy.refused}`)
  })
/**
 * What part each gets of what it asks, where each asks for a part of what can be done, and one always comes before the others: a
 * request takes 0.12 ms, a refusal a quarter of that, and what has come meanwhile comes at once.
 */
const shares = async (parts: readonly number[]): Promise<readonly number[]> => {
  const [requestMs, refusalMs, atOnceMax] = [0.12, 0.03, 512]
  const clock = { now: 0 }
  const limits = { runningMax: 256, waitingMax: 4096, waitMs: 100 }
  const admission = new Admission(limits, { waited: () => {} }, () => clock.now)
  const callers = parts.map((part, i) => ({ part, name: `${i}`, due: 0, asked: 0, begun: 0 }))
  const ask = async (one: (typeof callers)[number]): Promise<void> => {
    one.asked += 1
    if (admission.refuses(one.name)) {
      clock.now += refusalMs
      return
    }
    try {
      const end = await admission.enter(one.name, 0, stays)
      clock.now += requestMs
      one.begun += 1
      end?.()
    } catch {
      clock.now += refusalMs
    }
  }
  while (clock.now < 4000) {
    const beganMs = clock.now
    if (beganMs < 2000) for (const one of callers) one.asked = one.begun = 0
    for (const one of callers)
      for (let i = 0; i < atOnceMax && one.due <= beganMs; i++, one.due += requestMs / one.part) void ask(one)
    await turn()
    clock.now = Math.max(clock.now, beganMs + 0.2)
  }
  return callers.map(({ begun, asked }) => begun / asked)
}
for (const parts of [
  [0.8, 0.8],
  [0.4, 0.4, 0.4],
])
  test(`N-07 gives the same to all who ask for the same, ${parts.join(" and ")} of what can be done, whoever comes first`, async () => {
    const got = await shares(parts)
    assert.ok(Math.min(...got) > 0.9 * Math.max(...got), got.join(" "))
    assert.ok(Math.min(...got) > 0.4, got.join(" "))
  })
for (const part of [0.3, 0.4, 0.45])
  test(`refuses N-07 nothing to who asks for ${part} of what can be done, beside one whose refusals have cost the rest`, async () => {
    const { greedy, modest } = await beside(10, part)
    assert.is(modest.refused, 0)
    assert.ok(greedy.begun + modest.begun > 0.9 * 4000, `${greedy.begun} and ${modest.begun}`)
  })
test("forgets N-07 that more was asked than could be done once nobody asks for that", async () => {
  const clock = { now: 0 }
  const ends: (() => void)[] = []
  let refusals = 0
  const limits = { runningMax: 1, waitingMax: 4096, waitMs: 100 }
  const admission = new Admission(limits, { waited: () => {} }, () => clock.now)
  const ask = (): void => {
    admission.enter("a", 0, stays).then(
      (end) => end && ends.push(end),
      () => refusals++,
    )
  }
  const pass = async (ms: number, perMs: number): Promise<void> => {
    for (const end = clock.now + ms; clock.now < end; clock.now++) {
      for (let i = 0; i < perMs; i++) ask()
      await turn()
      ends.shift()?.()
    }
  }
  await pass(1500, 2)
  assert.ok(refusals > 0)
  await pass(1200, 0)
  ask()
  await pass(10, 0)
  refusals = 0
  for (let i = 0; i < 600; i++) ask()
  await pass(10, 0)
  assert.is(refusals, 0, "what comes at once may wait again")
})
test("drops what nobody waits for, and says so", async () => {
  const { admission, begun, ends, ask } = admitting({ runningMax: 1 })
  let gone = false
  ask("a")
  for (let i = 0; i < 10; i++) ask("a", 0, () => gone)
  await turn()
  gone = true
  ask("a")
  await drain(ends)
  assert.equal([begun.length, admission.waiting, admission.running], [2, 0, 0])
})
test("says how long each has waited", async () => {
  const { waits, ends, ask } = admitting()
  for (let i = 0; i < 3; i++) ask("a")
  await drain(ends)
  assert.is(waits.length, 3)
  assert.ok(waits.every((seconds) => seconds >= 0 && seconds < 5))
})
test("refuses N-07 by a code that says when to come again", async () => {
  const { admission } = admitting({ runningMax: 1, waitingMax: 1 })
  const asked = Array.from({ length: 3 }, () => admission.enter("a", 0, stays))
  await rejectsCode(() => Promise.race(asked), "OVERLOADED")
})
test.run()
