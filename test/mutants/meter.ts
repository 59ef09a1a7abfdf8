import type { Mutant } from "./mutant.ts"
import { mutantsOf } from "./rows.ts"

const TEST = "test/service/meter.test.ts"

/** What takes long, which whoever sends it would else have for nothing. */
export const METER: readonly Mutant[] = [
  ...mutantsOf("src/service/verify.ts", TEST, [
    [
      "meter-reads",
      "N-07",
      "known ??= meter.run(caller, read)",
      "known ??= read()",
      "Certificates that are slow to read would cost nothing, thirteen times as much as they weigh.",
    ],
    [
      "meter-proves",
      "N-07",
      "meter.run(caller, () => refutable(() => prove(evidence, context, freshness))) // prove",
      "refutable(() => prove(evidence, context, freshness)) // prove",
      "Devices with dear keys would cost their caller no more than others.",
    ],
    [
      "meter-judges",
      "N-07",
      "return meter.run(caller, () => judge(quote, evidence, log, endorsing, context, call, ports)) // judge",
      "return judge(quote, evidence, log, endorsing, context, call, ports) // judge",
      "Certificates that are slow to verify would cost nothing.",
    ],
  ]),
  ...mutantsOf("src/service/event-logs.ts", TEST, [
    [
      "meter-replays",
      "N-07",
      "while (meter.run(who, () => slices.next()).done !== true) await breathe()",
      "while (slices.next().done !== true) await breathe()",
      "Logs that are slow to replay would cost nothing.",
    ],
    [
      "meter-loads",
      "N-07",
      "meter.run(who, () => readLog({ digest, bytes })) // load",
      "readLog({ digest, bytes }) // load",
      "Logs that are named would be read for nothing.",
    ],
    [
      "meter-loaded",
      "N-07",
      "    meter.charge(who, bytes.length / BYTES_OF_MS)\n",
      "",
      "Logs that are named would be fetched for nothing, however long they are.",
    ],
  ]),
  ...mutantsOf("src/service/certify.ts", TEST, [
    [
      "meter-certifies",
      "N-07",
      "  meter.charge(caller, ISSUE_MS)\n",
      "",
      "Certificates would be issued for nothing, each for as much as twenty answers.",
    ],
  ]),
  ...mutantsOf("src/service/enroll-keys.ts", TEST, [
    [
      "meter-keys",
      "N-07",
      "ports.meter.run(caller, () => parseKeys(shown))",
      "parseKeys(shown)",
      "Certificates that are slow to read would cost whoever comes to enroll nothing.",
    ],
  ]),
  ...mutantsOf("src/service/vouching.ts", TEST, [
    [
      "meter-endorsement",
      "N-07",
      "ports.meter.run(who, () => verifyEndorsements({ ...shown, akChain: [] }, ak, trust, options)),",
      "verifyEndorsements({ ...shown, akChain: [] }, ak, trust, options),",
      "The endorsement key's certificates would be verified for nothing.",
    ],
    [
      "meter-endorsements",
      "N-07",
      "ports.meter.run(who, () => verifyEndorsements(shown, ak, trust, options))",
      "verifyEndorsements(shown, ak, trust, options)",
      "All certificates of who comes to enroll would be verified for nothing.",
    ],
  ]),
  ...mutantsOf("src/service/begin-enrollment.ts", TEST, [
    [
      "meter-credential",
      "N-07",
      "ports.meter.run(caller, () => credentialFor(eligible, ports))",
      "credentialFor(eligible, ports)",
      "Credentials would be made for nothing, whatever the key.",
    ],
  ]),
  ...mutantsOf("src/service/complete-enrollment.ts", TEST, [
    [
      "meter-enrolling",
      "N-07",
      "ports.meter.run(caller, () => parseEvidence(input.evidence))",
      "parseEvidence(input.evidence)",
      "Certificates that are slow to read would cost nothing where an enrollment is completed.",
    ],
    [
      "meter-completes",
      "N-07",
      "ports.meter.run(who, () => prove(attempt, eligible)) // prove",
      "prove(attempt, eligible) // prove",
      "The quote that completes an enrollment would be proven for nothing.",
    ],
  ]),
  ...mutantsOf("src/server/meter.ts", "test/server/meter.test.ts", [
    [
      "meter-most",
      "N-07",
      "Math.min(ms, MOST_MS)",
      "ms",
      "Whose request ran while the machine stood still would have no turn for long.",
    ],
    [
      "meter-tells",
      "N-07",
      "charge(who, nowMs() - sinceMs)",
      "void sinceMs",
      "Nobody would be told whose requests take long.",
    ],
  ]),
  ...mutantsOf("src/cache/contexts.ts", "test/cache/contexts.test.ts", [
    [
      "context-reread",
      "C-06",
      "{ ...sharing, ...sameKeyOf(sharing, known.peek(tenant, key)?.now) }",
      "sharing",
      "Anybody could have what is known of another's certificates forgotten, and have them proven in each call.",
    ],
    [
      "context-other-chain",
      "C-01",
      "    isSameChain(ekChain, now.ekChain)\n",
      "    ekChain !== undefined\n",
      "A device would be vouched for by certificates that it no longer has.",
    ],
    [
      "context-other-device",
      "C-01",
      "!isSameDevice(before.snapshot.device, now.snapshot.device))\n    return undefined",
      "before.ak === undefined)\n    return undefined",
      "The event logs of one device would be another's.",
    ],
  ]),
]
