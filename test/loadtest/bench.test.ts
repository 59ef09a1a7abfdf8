import { execFile } from "node:child_process"
import { generateKeyPairSync, sign } from "node:crypto"
import { existsSync, globSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { promisify } from "node:util"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type ChainReport, excesses } from "../../loadtest/chains.ts"
import { compare, figuresTable, type Told } from "../../loadtest/figures.ts"
import { benchOptions } from "../../loadtest/options.ts"
import type { Report } from "../../loadtest/report.ts"
import { median, type Spread, spreadOf } from "../../loadtest/statistics.ts"
import { countVerified, differences } from "../../loadtest/tokens.ts"

const test = suite("bench")
const run = promisify(execFile)

const isSpread = ({ median, min, max }: Spread): boolean => 0 < min && min <= median && median <= max
const once = (value: number): Spread => ({ median: value, min: value, max: value })

/** Runs parts of it; so few calls on a busy machine may cost anything, and a path too much. */
const bench = async (...options: readonly string[]) => {
  const { stdout } = await run(process.execPath, ["loadtest/bench.ts", ...options]).catch(
    ({ code, ...ended }) => {
      assert.is(code, 1)
      assert.match(ended.stderr, /over/)
      assert.not.match(ended.stderr, /verified tokens/)
      return ended
    },
  )
  return JSON.parse(stdout)
}

test("every call has a token of its own that verifies, is in the journal, and stands against a floor of the same sizes", async () => {
  const plan = { calls: 4, rounds: 2, inFlight: 2 }
  const options = ["--calls", "4", "--rounds", "2", "--in-flight", "2"]
  const { figures, parts } = await bench("warm", ...options)
  const report: Report = parts.warm
  assert.equal(report.plan, plan)
  assert.equal(
    report.cases.map(({ algorithm, log, via, shows, eventLogBytes }) => [
      ...[algorithm, log, via, shows],
      eventLogBytes > 0,
    ]),
    [
      ["rsa-2048", "named", "unary", "fresh", false],
      ["rsa-2048", "named", "stream", "fresh", false],
      ["rsa-2048", "named", "unary", "again", false],
      ["p256", "named", "unary", "fresh", false],
      ["p256", "named", "stream", "fresh", false],
      ["p256", "sent", "unary", "fresh", true],
    ],
  )
  for (const one of report.cases) {
    // Rounds of four with one before: one that shows the log, eight warm ones, two measured.
    assert.equal(one.counts, { calls: 55, tokens: 55, journalRecords: 55 })
    assert.is(one.rounds, 2)
    const { empty, check, sign } = one.parts
    for (const spread of [one.floor, empty, sign, one.verify, one.ratio]) assert.ok(isSpread(spread))
    assert.is(check.max > 0, one.shows === "fresh", "what was seen before needs no check")
    assert.ok(one.floor.min >= empty.min + check.min + sign.min)
    const sentBytes = one.log === "sent" ? one.eventLogBytes : 0
    assert.ok(one.requestBytes > one.attestBytes + sentBytes)
    if (one.log === "named") assert.ok(one.requestBytes < 2048, "the log is named, not sent")
    assert.ok(one.answerBytes > one.tokenBytes)
    for (const { busy } of Object.values(one.load)) assert.ok(busy > 0 && busy <= 1)
    assert.is(one.steps !== undefined, one.shows === "fresh")
    if (one.steps === undefined) continue
    assert.ok(Object.keys(one.steps).length > 8)
    assert.ok(Object.values(one.steps).every((microseconds) => microseconds > 0))
  }
  assert.equal(
    report.chains.map(({ algorithm, anchors, growth }) => [algorithm, anchors, growth !== undefined]),
    ["rsa-2048", "p256"].flatMap((algorithm) => [
      [algorithm, 1, false],
      [algorithm, 10, false],
      [algorithm, 1000, true],
    ]),
  )
  for (const { bare, verify, ratio, growth = ratio } of report.chains)
    for (const spread of [bare, verify, ratio, growth]) assert.ok(isSpread(spread))
  assert.is(report.contextCache.misses, 8)
  const measured = figures.filter(({ verdict }: Told) => verdict !== "not measured")
  assert.equal(
    measured.map(({ name }: Told) => name),
    ["unary", "stream", "again"],
  )
})
test("ends with status 1 when the journal lacks records of calls", async () => {
  const folder = mkdtempSync(join(tmpdir(), "assay-bench-test-"))
  const env = { ...process.env, TMPDIR: folder }
  const running = run(
    process.execPath,
    ["loadtest/bench.ts", "first-sight", "--calls", "3", "--rounds", "2"],
    { env },
  )
  const journal = (): string | undefined =>
    globSync(join(folder, "assay-bench-*/data/assay.db")).find((file) => existsSync(file))
  // Somebody takes away what was written last, again and again: the server then notices, too, and answers no more.
  let thief: DatabaseSync | undefined
  const stealing = setInterval(() => {
    try {
      const file = journal()
      if (file === undefined) return
      thief ??= new DatabaseSync(file, { timeout: 1000 })
      thief.exec("DROP TRIGGER IF EXISTS journal_delete")
      thief.exec("DELETE FROM journal WHERE act = 'verify' AND rowid = (SELECT max(rowid) FROM journal)")
    } catch {
      // Not made yet, or busy.
    }
  }, 3)
  try {
    const { code, stderr, stdout } = await running.then(
      (ended) => ({ code: 0, ...ended }),
      (ended) => ended,
    )
    assert.is(code, 1)
    assert.match(stderr, /first sight: 42 calls, but \d+ verified tokens and \d+ records/)
    const { logBytes, requestBytes, counts } = JSON.parse(stdout).parts["first-sight"]
    assert.ok(logBytes >= 60 * 1024 && requestBytes > logBytes + 1000)
    assert.ok(counts.calls === 42 && counts.journalRecords < 42)
  } finally {
    clearInterval(stealing)
    thief?.close()
    rmSync(folder, { recursive: true, force: true })
  }
})
test("counts tokens that verify with the published keys, each once", async () => {
  const [own, other] = [0, 1].map(() => generateKeyPairSync("ec", { namedCurve: "P-256" }))
  if (own === undefined || other === undefined) throw new Error("no keys")
  const tokenBy = ({ privateKey }: typeof own, id: number, exp = 4_000_000_000): string => {
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url")
    const signed = `${encode({ alg: "ES256", kid: "k" })}.${encode({ jti: String(id), exp })}`
    const signature = sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" })
    return `${signed}.${signature.toString("base64url")}`
  }
  const keys = { keys: [{ ...own.publicKey.export({ format: "jwk" }), kid: "k", alg: "ES256" }] }
  const good = tokenBy(own, 1)
  assert.is(await countVerified([good, tokenBy(own, 2)], keys), 2)
  for (const bad of [good, tokenBy(other, 3), tokenBy(own, 4, 1), `${good}x`, "CHALLENGE_UNKNOWN", ""])
    assert.is(await countVerified([good, bad], keys), 1)
  assert.equal(differences("x", { calls: 3, tokens: 3, journalRecords: 3 }), [])
  for (const counts of [
    { calls: 3, tokens: 2, journalRecords: 3 },
    { calls: 3, tokens: 3, journalRecords: 4 },
    { calls: 2, tokens: 3, journalRecords: 3 },
  ])
    assert.is(differences("x", counts).length, 1)
})
test("says of every figure whether it is reached, missed or not measured", () => {
  const verdictOf = (name: string, figures: Parameters<typeof compare>[0]) =>
    compare(figures).find((one) => one.name === name)?.verdict
  for (const [value, verdict] of [
    [1.3, "aim reached"],
    [1.6, "reached"],
    [1.61, "missed"],
  ] as const)
    assert.is(verdictOf("unary", { unary: once(value) }), verdict)
  assert.is(verdictOf("goodput", { goodput: once(90) }), "reached")
  assert.is(verdictOf("goodput", { goodput: once(89.9) }), "missed")
  assert.is(verdictOf("resident", { unary: once(1) }), "not measured")
  const table = figuresTable(compare({ unary: { median: 1.5, min: 1.4, max: 1.7 } }))
  assert.match(table, /Verify, warm.*≤ 1\.6 ×.*≤ 1\.3 ×.*1\.50 × \(1\.40 × to 1\.70 ×\) +reached/)
  assert.match(table, /100,000 devices hot.*not measured: make bench only=hot/)
})
test("says which paths cost more than they may", () => {
  const chain = (ratio: number, growth: number): ChainReport => {
    const figures = { bare: once(200), verify: once(400), ratio: once(ratio), growth: once(growth) }
    return { algorithm: "p256", anchors: 1000, ...figures }
  }
  assert.equal(excesses([chain(3, 1.2)]), [])
  assert.is(excesses([chain(3.01, 1.2)]).length, 1)
  assert.is(excesses([chain(2, 1.21), chain(4, 1.3)]).length, 3)
})
test("refuses a plan that could not be carried out, and parts that it does not have", async () => {
  for (const option of ["--calls=0", "--rounds=x", "--output=xml", "--registered=10", "no-such-part"])
    assert.throws(
      () => benchOptions([option], ["warm"]),
      (error: unknown) => error instanceof TypeError,
    )
  assert.equal(benchOptions(["warm", "--calls=7"], ["warm"]).wanted, ["warm"])
  const { code } = await run(process.execPath, ["loadtest/bench.ts", "no-such-part"]).catch((ended) => ended)
  assert.is(code, 1)
})
test("the median of an even number of values lies between the two in the middle", () => {
  assert.equal([median([3, 1, 2]), median([4, 1, 2, 3]), median([5])], [2, 2.5, 5])
  assert.equal(
    spreadOf([3, 1, 2], (value) => 10 * value),
    { median: 20, min: 10, max: 30 },
  )
})

test.run()
