import { randomBytes } from "node:crypto"
import type { Test } from "uvu"
import * as assert from "uvu/assert"
import { AssayError } from "../../../src/errors.ts"
import type { OpenedValue, SealedPurpose, SingleUse, SingleUseValue } from "../../../src/service/ports.ts"
import { rejectsCode } from "../assert.ts"

/** A value of a minute that nobody had before. */
export const newValue = (at: Date, change: Partial<SingleUseValue> = {}): SingleUseValue => ({
  purpose: "attest",
  tenant: "default",
  id: new Uint8Array(randomBytes(32)),
  expiresAt: new Date(at.getTime() + 60_000),
  content: new Uint8Array(randomBytes(100)),
  ...change,
})

/** A value as it is once it was handed out and came back. */
export const handedOut = async (
  singleUse: SingleUse,
  value: SingleUseValue,
  at: Date,
): Promise<OpenedValue> => singleUse.open(value.purpose, await singleUse.seal(value), at)

/** Of so many calls at once, exactly one succeeds and every other is told why not. */
export const oneOf = async (copies: number, act: (i: number) => Promise<void>): Promise<void> => {
  const outcomes = await Promise.allSettled(Array.from({ length: copies }, (_, i) => act(i)))
  assert.is(outcomes.filter(({ status }) => status === "fulfilled").length, 1)
  for (const outcome of outcomes)
    if (outcome.status === "rejected") {
      if (!(outcome.reason instanceof AssayError)) throw outcome.reason
      assert.ok(
        ["NONCE_SPENT", "NONCE_EXPIRED", "CHALLENGES_FULL"].includes(outcome.reason.code),
        outcome.reason.code,
      )
    }
}

type Check = (behavior: string, body: (singleUse: SingleUse, at: Date) => void | Promise<void>) => void

/**
 * What every engine does, with its replicas alone and with one of them.
 *
 * @param use A replica, open while the body runs, and the present as its store knows it.
 */
export const singleUseConformance = (
  test: Test | ((name: string, body: () => Promise<void>) => void),
  name: string,
  use: (body: (singleUse: SingleUse, at: Date) => void | Promise<void>) => Promise<void>,
): void => {
  const check: Check = (behavior, body) => test(`${name} ${behavior}`, () => use(body))
  checkSealing(check)
  checkForgeries(check)
  checkSpending(check)
  checkTime(check)
  checkTries(check)
  checkCounts(check)
}

const later = (at: Date, ms: number): Date => new Date(at.getTime() + ms)

const checkSealing = (check: Check): void => {
  const genuine: [what: string, change: Partial<SingleUseValue>][] = [
    ["without content", { content: new Uint8Array() }],
    ["for an enrollment", { purpose: "enroll" }],
    ["for a tenant outside of ASCII", { tenant: "ñ-\ufeff-😀" }],
    ["of a kilobyte", { content: new Uint8Array(randomBytes(1024)) }],
    ["for an enrollment of 31 kilobytes", { purpose: "enroll", content: new Uint8Array(31 * 1024) }],
  ]
  for (const [what, change] of genuine)
    check(`opens what it sealed ${what}`, async (singleUse, at) => {
      const value = newValue(at, change)
      const { origin, key, ...opened } = await handedOut(singleUse, value, at)
      assert.equal(opened, value)
      assert.is(origin.keyId.length, 8)
      assert.is(key, (await handedOut(singleUse, value, at)).key)
      assert.is.not(key, (await handedOut(singleUse, newValue(at, change), at)).key)
    })

  check("seals the same value into another one each time, and shows nothing of it", async (singleUse, at) => {
    const value = newValue(at, { content: new Uint8Array(Buffer.from("https://backend.example")) })
    const sealed = await Promise.all(Array.from({ length: 100 }, () => singleUse.seal(value)))
    assert.is(new Set(sealed.map(String)).size, 100)
    for (const one of sealed)
      for (const part of [value.id, "default", "https://backend.example", "attest"])
        assert.not(Buffer.from(one).includes(part))
  })

  for (const [purpose, bytes] of [
    ["attest", 2049],
    ["enroll", 32_769],
  ] as const)
    check(`refuses to seal for ${purpose} more than a request can carry`, async (singleUse, at) => {
      const sealed = await singleUse.seal(newValue(at, { purpose, content: new Uint8Array() }))
      const room = bytes - 1 - sealed.length
      await singleUse.seal(newValue(at, { purpose, content: new Uint8Array(room) }))
      const tooLarge = newValue(at, { purpose, content: new Uint8Array(room + 1) })
      const error = await singleUse.seal(tooLarge).catch((thrown: unknown) => thrown)
      assert.instance(error, TypeError)
    })

  for (const size of [0, 4, 16, 31, 33, 64])
    check(`refuses N-02 to seal what has ${size} random bytes`, async (singleUse, at) => {
      await rejectsCode(() => singleUse.seal(newValue(at, { id: new Uint8Array(randomBytes(size)) })), "RNG")
    })
}

const checkForgeries = (check: Check): void => {
  for (const [sealedFor, openedFor] of [
    ["attest", "enroll"],
    ["enroll", "attest"],
  ] as const)
    check(
      `refuses N-04 what was sealed to ${sealedFor} when it is opened to ${openedFor}`,
      async (singleUse, at) => {
        const sealed = await singleUse.seal(newValue(at, { purpose: sealedFor }))
        await rejectsCode(() => singleUse.open(openedFor, sealed, at), "NONCE_UNKNOWN")
        await singleUse.open(sealedFor, sealed, at)
      },
    )

  check("refuses N-04 a value with any one byte changed", async (singleUse, at) => {
    const sealed = await singleUse.seal(newValue(at))
    for (let i = 0; i < sealed.length; i++) {
      const changed = sealed.slice()
      changed[i] = (changed[i] ?? 0) ^ 0x20
      await rejectsCode(() => singleUse.open("attest", changed, at), "NONCE_UNKNOWN")
    }
  })

  check("refuses N-04 every proper prefix of a value, and one byte too many", async (singleUse, at) => {
    const sealed = await singleUse.seal(newValue(at))
    for (let size = 0; size < sealed.length; size++)
      await rejectsCode(() => singleUse.open("attest", sealed.subarray(0, size), at), "NONCE_UNKNOWN")
    await rejectsCode(() => singleUse.open("attest", Uint8Array.of(...sealed, 0), at), "NONCE_UNKNOWN")
  })

  const invented: [what: string, bytes: Uint8Array][] = [
    ["nothing", new Uint8Array()],
    ["zeros", new Uint8Array(200)],
    ["a raw nonce", new Uint8Array(randomBytes(32))],
    ["random bytes of the right size", new Uint8Array(randomBytes(200))],
    ["a megabyte", new Uint8Array(1_048_576)],
  ]
  for (const [what, bytes] of invented)
    check(`refuses N-04 ${what} in place of a value`, async (singleUse, at) => {
      for (const purpose of ["attest", "enroll"] as const)
        await rejectsCode(() => singleUse.open(purpose, bytes, at), "NONCE_UNKNOWN")
    })

  check("refuses N-04 the halves of two values put together", async (singleUse, at) => {
    const [a, b] = [await singleUse.seal(newValue(at)), await singleUse.seal(newValue(at))]
    for (const cut of [20, 24, 36, 60]) {
      const mixed = Uint8Array.of(...a.subarray(0, cut), ...b.subarray(cut))
      await rejectsCode(() => singleUse.open("attest", mixed, at), "NONCE_UNKNOWN")
    }
  })
}

const checkSpending = (check: Check): void => {
  check("opens again and again, and spends once", async (singleUse, at) => {
    const sealed = await singleUse.seal(newValue(at))
    for (let i = 0; i < 3; i++) await singleUse.open("attest", sealed, at)
    await singleUse.spend(await singleUse.open("attest", sealed, at), at)
    await rejectsCode(
      async () => singleUse.spend(await singleUse.open("attest", sealed, at), at),
      "NONCE_SPENT",
    )
  })

  const again: [what: string, change: Partial<SingleUseValue>][] = [
    ["by way of another copy", {}],
    ["sealed with other content", { content: new Uint8Array(1) }],
  ]
  for (const [what, change] of again)
    check(`refuses N-01 the same value ${what}`, async (singleUse, at) => {
      const value = newValue(at)
      const first = await handedOut(singleUse, value, at)
      const second = await handedOut(singleUse, { ...value, ...change }, at)
      await singleUse.spend(first, at)
      await rejectsCode(() => singleUse.spend(second, at), "NONCE_SPENT")
      await rejectsCode(() => singleUse.spend(first, at), "NONCE_SPENT")
    })

  check("spends for each tenant apart", async (singleUse, at) => {
    const value = newValue(at)
    await singleUse.spend(await handedOut(singleUse, value, at), at)
    await singleUse.spend(await handedOut(singleUse, { ...value, tenant: "other" }, at), at)
  })

  const races: [what: string, copies: number, open: boolean][] = [
    ["2 calls", 2, false],
    ["200 calls", 200, false],
    ["200 calls that each open it first", 200, true],
  ]
  for (const [what, copies, open] of races)
    check(`refuses N-05 all but one of ${what} at once`, async (singleUse, at) => {
      const sealed = await singleUse.seal(newValue(at))
      const opened = await singleUse.open("attest", sealed, at)
      await oneOf(copies, async () =>
        singleUse.spend(open ? await singleUse.open("attest", sealed, at) : opened, at),
      )
    })

  check("refuses N-05 all but one of 200 calls at once about its expiry", async (singleUse, at) => {
    const opened = await handedOut(singleUse, newValue(at), at)
    await oneOf(200, (i) => singleUse.spend(opened, later(at, 59_900 + i)))
  })
}

const checkTime = (check: Check): void => {
  for (const ms of [60_000, 60_001, 61_000, 86_400_000])
    check(`refuses N-04 a value ${ms} ms after its issue, expired`, async (singleUse, at) => {
      const sealed = await singleUse.seal(newValue(at))
      const value = await singleUse.open("attest", sealed, later(at, 59_999))
      await rejectsCode(() => singleUse.open("attest", sealed, later(at, ms)), "NONCE_EXPIRED")
      await rejectsCode(() => singleUse.spend(value, later(at, ms)), "NONCE_EXPIRED")
      await rejectsCode(() => singleUse.attempt(value, later(at, ms)), "NONCE_EXPIRED")
    })

  check("refuses N-01 a spent value in the last millisecond of its life", async (singleUse, at) => {
    const value = await handedOut(singleUse, newValue(at), at)
    await singleUse.spend(value, at)
    await rejectsCode(() => singleUse.spend(value, later(at, 59_999)), "NONCE_SPENT")
  })

  check("refuses N-04 any value while the clock says nothing", async (singleUse, at) => {
    const sealed = await singleUse.seal(newValue(at))
    const value = await singleUse.open("attest", sealed, at)
    const noTime = new Date(Number.NaN)
    await rejectsCode(() => singleUse.open("attest", sealed, noTime), "NONCE_EXPIRED")
    await rejectsCode(() => singleUse.spend(value, noTime), "NONCE_EXPIRED")
    await rejectsCode(() => singleUse.attempt(value, noTime), "NONCE_EXPIRED")
    await singleUse.spend(value, at)
  })
}

const checkCounts = (check: Check): void => {
  const other: [what: string, tenant: string, id: (id: Uint8Array) => Uint8Array][] = [
    ["another tenant", "other", (id) => id],
    ["other bytes", "default", (id) => id.toReversed()],
  ]
  for (const [what, tenant, idOf] of other)
    check(`counts what is of ${what} apart`, async (singleUse, at) => {
      const { id, expiresAt } = newValue(at)
      for (const expected of [1, 2, 3])
        assert.is(await singleUse.count("default", id, expiresAt, at), expected)
      assert.is(await singleUse.count(tenant, idOf(id), expiresAt, at), 1)
    })

  check("counts each of 50 at once", async (singleUse, at) => {
    const { id, expiresAt } = newValue(at)
    const counts = await Promise.all(
      Array.from({ length: 50 }, () => singleUse.count("default", id, expiresAt, at)),
    )
    assert.is(Math.max(...counts), 50)
    assert.is(new Set(counts).size, 50)
  })

  check("refuses N-07 to count until an instant that has passed", async (singleUse, at) => {
    const { id } = newValue(at)
    for (const until of [at, later(at, -1), new Date(Number.NaN)])
      await rejectsCode(() => singleUse.count("default", id, until, at), "NONCE_EXPIRED")
  })
}

const checkTries = (check: Check): void => {
  check("counts the tries of each value", async (singleUse, at) => {
    const [one, other] = [
      await handedOut(singleUse, newValue(at, { purpose: "enroll" }), at),
      await handedOut(singleUse, newValue(at, { purpose: "enroll" }), at),
    ]
    for (const expected of [1, 2, 3]) assert.is(await singleUse.attempt(one, at), expected)
    assert.is(await singleUse.attempt(other, at), 1)
    await singleUse.spend(one, at)
    assert.is(await singleUse.attempt(one, at), 4)
  })

  check("gives K-05 each of 50 tries at once a number of its own", async (singleUse, at) => {
    const value = await handedOut(singleUse, newValue(at, { purpose: "enroll" }), at)
    const numbers = await Promise.all(Array.from({ length: 50 }, () => singleUse.attempt(value, at)))
    assert.equal(
      numbers.toSorted((a, b) => a - b),
      Array.from({ length: 50 }, (_, i) => i + 1),
    )
  })

  check("counts tries of a tenant and a purpose apart from those of others", async (singleUse, at) => {
    const value = newValue(at)
    const variants: [SealedPurpose, string][] = [
      ["attest", "default"],
      ["enroll", "default"],
      ["attest", "other"],
    ]
    for (const [purpose, tenant] of variants)
      assert.is(await singleUse.attempt(await handedOut(singleUse, { ...value, purpose, tenant }, at), at), 1)
  })
}
