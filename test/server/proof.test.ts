import { writeFileSync } from "node:fs"
import { create, toBinary } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AttestationService, VerifyStreamRequestSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { JournalService } from "../../src/gen/assay/v1/journal_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import {
  type Holder,
  makeAuthority,
  makeClient,
  validity,
  writeAuthorities,
  writeServer,
} from "../support/callers.ts"
import { headerOf, makeIssuer, tokenOf } from "../support/tokens.ts"
import { goodVerify, type Running } from "./fake.ts"
import { framed, pause, type RawOutcome, rawOpen, rawSession } from "./raw.ts"
import { edge, gateway, operator, serving } from "./tls.ts"

const STREAM = pathOf(AttestationService.method.verifyStream)
const WATCH = pathOf(JournalService.method.watchRecords)
const message = (id: string): Buffer =>
  framed(
    toBinary(VerifyStreamRequestSchema, create(VerifyStreamRequestSchema, { id, request: goodVerify() })),
  )

const START = Date.parse("2026-03-01T12:00:00Z")
const brief = makeClient(edge, "spiffe://acme.example/brief", {
  validity: validity("2026-03-01T11:00:00Z", "2026-03-01T12:30:00Z"),
})
const issuer = makeIssuer("ES256", "first")
const other = makeIssuer("ES256", "second")
const jwks = ({ jwk }: typeof issuer): string => JSON.stringify({ keys: [jwk] })
const token = tokenOf(issuer, headerOf(issuer), {
  iss: "https://idp.example",
  aud: "assay",
  sub: "edge-1",
  iat: START / 1000 - 5,
  exp: START / 1000 + 600,
})
const bearer = { authorization: `Bearer ${token}` }

type Act = (server: Running & { readonly folder: string }, clock: { now: number }) => Promise<void> | void
const passing: Act = (_server, clock) => {
  clock.now += 3_600_000
}
const removing: Act = async ({ folder, look }) => {
  writeAuthorities(folder, "edge", makeAuthority("Another CA"))
  writeAuthorities(folder, "office", makeAuthority("Another CA"))
  await look()
}
const rekeying: Act = async ({ folder, look }) => {
  writeFileSync(`${folder}/jwks.json`, jwks(other))
  await look()
}

const served = (
  act: (server: Running & { readonly folder: string }, clock: { now: number }) => Promise<void>,
  proveMs: number,
): Promise<void> => {
  const clock = { now: START }
  return serving(
    (server) => act(server, clock),
    (folder) => {
      writeFileSync(`${folder}/jwks.json`, jwks(issuer))
      return {
        listen: [{ address: "127.0.0.1:0", tls: writeServer(folder) }],
        tokenIssuers: [
          {
            name: "idp",
            issuer: "https://idp.example",
            audience: "assay",
            types: ["JWT"],
            role: { kind: "fixed", value: "gateway" },
            tenant: { kind: "fixed", value: "acme" },
            lifetimeSecondsMax: 3600,
            clockToleranceSeconds: 0,
            keys: `${folder}/jwks.json`,
          },
        ],
        now: () => new Date(clock.now),
        limits: { proveMs },
      }
    },
    {
      watchRecords: async function* (_filter, _caller, signal) {
        await new Promise((done) => signal.addEventListener("abort", done))
        yield []
      },
    },
  )
}

/** How a call ends, if it does within some seconds. */
const soon = (outcome: Promise<RawOutcome>): Promise<Partial<RawOutcome>> =>
  Promise.race([outcome, pause(3000).then(() => ({}))])

const test = suite("who calls on a stream that goes on")

const ends: [name: string, holder: Holder | undefined, act: Act, code: string][] = [
  ["whose certificate has run out", brief, passing, "CALLER_UNKNOWN"],
  ["whose CA was taken away", gateway, removing, "CALLER_UNKNOWN"],
  ["whose token has run out", undefined, passing, "TOKEN_TIME"],
  ["whose token's key was taken away", undefined, rekeying, "TOKEN_KEY"],
]
for (const [name, holder, act, code] of ends) {
  test(`refuses G-11 the next request on a stream of a caller ${name}, and ends it`, () =>
    served(async (server, clock) => {
      const session = await rawSession(server.address, holder)
      const { stream, outcome } = rawOpen(session, STREAM, holder ? {} : bearer)
      stream.write(message("a"))
      while (server.seen.length < 1) await pause(5)
      await act(server, clock)
      stream.write(message("b"))
      const { code: told } = await soon(outcome)
      session.destroy()
      assert.is(told, code)
      assert.is(server.seen.length, 1)
    }, 3_600_000))
  test(`refuses G-11 a stream to stay of a caller ${name}, without a request`, () =>
    served(async (server, clock) => {
      const session = await rawSession(server.address, holder)
      const { stream, outcome } = rawOpen(session, STREAM, holder ? {} : bearer)
      stream.write(message("a"))
      while (server.seen.length < 1) await pause(5)
      await act(server, clock)
      const { code: told } = await soon(outcome)
      session.destroy()
      assert.is(told, code)
    }, 100))
}
test("refuses G-11 to let an operator watch on whose CA was taken away", () =>
  served(async (server, clock) => {
    const session = await rawSession(server.address, operator)
    const { stream, outcome } = rawOpen(session, WATCH)
    stream.end(framed(new Uint8Array()))
    await pause(50)
    await removing(server, clock)
    const { code } = await soon(outcome)
    session.destroy()
    assert.is(code, "CALLER_UNKNOWN")
  }, 100))
test("lets a stream go on whose caller is who it was", () =>
  served(async (server) => {
    const session = await rawSession(server.address, gateway)
    const { stream, outcome } = rawOpen(session, STREAM)
    for (const id of ["a", "b", "c"]) {
      stream.write(message(id))
      await pause(300)
    }
    stream.end()
    assert.is((await outcome).status, "0")
    assert.is(server.seen.length, 3)
    session.destroy()
  }, 100))
test.run()
