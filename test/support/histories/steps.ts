/** What may happen in a history: the same for the same number, each time. */
import fc from "fast-check"

export const DEVICES = 3
/** Ways to boot: no more than a store keeps of one device. */
export const BOOTS = 3
const STEPS_MAX = 4

/** So often each. */
const often = <T>(weights: readonly (readonly [number, T])[]): fc.Arbitrary<T> =>
  fc.oneof(...weights.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })))

/** What happens before evidence is shown. */
export type Act =
  | "none"
  | "second"
  | "minutes"
  | "hour"
  | "clock back"
  | "reboot"
  | "TPM back"
  | "suspend"
  | "resume"
  | "revoke"
  | "rotate"
  | "firmware"
  | "policy"
  | "anchor"
  | "revocation"
  | "lists"
  | "listed key"
  | "signing key"
  | "epoch key"
  | "elsewhere"
const ACTS = often<Act>([
  [20, "none"],
  [4, "second"],
  [5, "minutes"],
  [1, "hour"],
  [3, "clock back"],
  [2, "reboot"],
  [1, "TPM back"],
  [2, "suspend"],
  [2, "resume"],
  [1, "revoke"],
  [1, "rotate"],
  [1, "firmware"],
  [3, "policy"],
  [2, "anchor"],
  [2, "revocation"],
  [2, "lists"],
  [1, "listed key"],
  [1, "signing key"],
  [1, "epoch key"],
  [3, "elsewhere"],
])

/** What is shown: something new, or what was shown before, as it was or altered. */
export type Shown = "new" | "again" | "earlier" | "altered"
/** How the log is shown. */
export type LogForm = "sent" | "named" | "withheld"
/** Which log: the device's own, of an earlier boot, or one that was made up. */
export type Log = "own" | "earlier" | "bit" | "byte less" | "byte more" | "junk"
/** What else is wrong. */
export type Flaw = "none" | "signature" | "values" | "another's answer"
/** Which certificates come with it. */
export type Chain = "none" | "good" | "ending" | "not yet" | "expired" | "another's"

const stepArbitrary = fc.record({
  device: fc.nat(DEVICES - 1),
  act: ACTS,
  /** What the act depends on. */
  n: fc.nat(BOOTS - 1),
  shown: often<Shown>([
    [5, "new"],
    [5, "again"],
    [2, "earlier"],
    [1, "altered"],
  ]),
  mode: often<"challenge" | "nonce" | "epoch">([
    [4, "challenge"],
    [2, "nonce"],
    [5, "epoch"],
  ]),
  form: often<LogForm>([
    [4, "sent"],
    [4, "named"],
    [1, "withheld"],
  ]),
  log: often<Log>([
    [12, "own"],
    [1, "earlier"],
    [1, "bit"],
    [1, "byte less"],
    [1, "byte more"],
    [1, "junk"],
  ]),
  flaw: often<Flaw>([
    [12, "none"],
    [1, "signature"],
    [1, "values"],
    [1, "another's answer"],
  ]),
  chain: often<Chain>([
    [10, "none"],
    [4, "good"],
    [4, "ending"],
    [2, "not yet"],
    [1, "expired"],
    [1, "another's"],
  ]),
  caller: often<"gateway" | "other" | "device" | "stranger">([
    [12, "gateway"],
    [3, "other"],
    [1, "device"],
    [1, "stranger"],
  ]),
  /** How many show it at a time. */
  abreast: often([
    [8, 1],
    [1, 3],
  ]),
})

/** One step: what happens, and then what is shown. */
export type Step = typeof stepArbitrary extends fc.Arbitrary<infer T> ? T : never

const history = fc.array(stepArbitrary, { minLength: 1, maxLength: STEPS_MAX })

/** The history of a number. */
export const historyOf = (number: number): readonly Step[] =>
  fc.sample(history, { seed: number, numRuns: 1 })[0] ?? []
