import type { Mutant } from "./mutant.ts"
import { mutantsOf } from "./rows.ts"

const TEST = "test/service/meter.test.ts"
const READS = "test/service/metered-reads.test.ts"

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
  ...mutantsOf("src/service/journal.ts", READS, [
    [
      "meter-records",
      "N-07",
      "ports.meter.run(caller, () => ports.archive.list(caller.tenant, filter, before, max))",
      "ports.archive.list(caller.tenant, filter, before, max)",
      "Whoever lists records all the time would leave nobody else any.",
    ],
  ]),
  ...mutantsOf("src/service/export-journal.ts", READS, [
    [
      "meter-export-journal",
      "N-07",
      "(act) => meter.run(caller, act)",
      '(act) => (caller.id === "" ? meter.run(caller, act) : act())',
      "Whoever exports the journal would have the others wait.",
    ],
  ]),
  ...mutantsOf("src/service/watch-journal.ts", READS, [
    [
      "watch-at-once",
      "N-07",
      "      if (!signal.aborted) yield []\n",
      "",
      "Whoever watches by sixty streams would have all of them look at the same moment.",
    ],
    [
      "watch-silent",
      "N-07",
      "          yield records.filter(({ content }) => isWanted(content, filter))\n",
      "          const found = records.filter(({ content }) => isWanted(content, filter))\n          if (found.length > 0) yield found\n",
      "Who looks through all records and wants none of them would never wait for a turn.",
    ],
  ]),
  ...mutantsOf("src/service/list-devices.ts", READS, [
    [
      "meter-list-devices",
      "N-07",
      "await meter.run(caller, () => devices.list(tenant, query))",
      "await devices.list(tenant, query)",
      "Whoever lists devices all the time would leave nobody else any.",
    ],
  ]),
  ...mutantsOf("src/service/export-devices.ts", READS, [
    [
      "meter-export-devices",
      "N-07",
      "await meter.run(caller, () => devices.list(tenant, query))",
      "await devices.list(tenant, query)",
      "Whoever exports devices would have the others wait.",
    ],
  ]),
  ...mutantsOf("src/service/device-view.ts", READS, [
    [
      "meter-view",
      "N-07",
      "ports.meter.run(who, () => some.map((device, i) => viewOf(device, judgedBy[i])))",
      "some.map((device, i) => viewOf(device, judgedBy[i]))",
      "Certificates that are read for a list would cost nothing.",
    ],
  ]),
  ...mutantsOf("src/service/enrollment-tokens.ts", READS, [
    [
      "meter-tokens",
      "N-07",
      "await meter.run(caller, () => devices.enrollmentTokens(tenant, after, pageSize))",
      "await devices.enrollmentTokens(tenant, after, pageSize)",
      "Whoever lists enrollment tokens all the time would leave nobody else any.",
    ],
  ]),
  ...mutantsOf("src/server/unary.ts", "test/server/charge.test.ts", [
    [
      "meter-answers",
      "N-07",
      "context.run(() => write(found()))",
      "write(found())",
      "A page of a thousand records would cost what an empty one does.",
    ],
  ]),
  ...mutantsOf("src/server/server-stream.ts", "test/server/charge.test.ts", [
    [
      "meter-streams",
      "N-07",
      "context.run(() => call.write(make()))",
      "call.write(make())",
      "What a stream is told would be nobody's.",
    ],
  ]),
  ...mutantsOf("src/server/server-stream.ts", "test/server/server-stream-turns.test.ts", [
    [
      "stream-for-nobody",
      "N-07",
      "const over = (): void => resolve(false)",
      "const over = (): void => resolve(true)",
      "Whoever opens exports and leaves would have the store read for nobody.",
    ],
    [
      "stream-first-turn",
      "N-07",
      "if (!(await takeTurn(context, signal))) return",
      "if (signal.aborted) return",
      "Whoever opens exports all the time would not wait for anybody.",
    ],
    [
      "stream-next-turns",
      "N-07",
      "if (left === 0) {",
      "if (left < 0) {",
      "A long export would be read in one go.",
    ],
    [
      "stream-together",
      "N-07",
      "        left = together\n",
      "        left = Number.POSITIVE_INFINITY\n",
      "A long export would wait once and never again.",
    ],
    [
      "stream-each-alone",
      "small answers share a turn",
      "for (let left = together; ; left -= 1)",
      "for (let left = 1; ; left -= 1)",
      "Each device of an export would wait for a turn of its own.",
    ],
    [
      "stream-empty-page",
      "although nothing on it is wanted",
      "if (value === undefined) left = 1",
      "",
      "A whole registry would be read in one turn where nothing in it is wanted.",
    ],
    [
      "stream-ended-by-load",
      "has one that has begun wait instead",
      'if (codeOf(error) !== "OVERLOADED") throw error',
      "throw error",
      "An export would be lost, and a watcher miss records, whenever there is much to do.",
    ],
    [
      "stream-never-refused",
      "refuses a stream while there is no room",
      "if (!(await takeTurn(context, signal))) return",
      "if (!(await takeNextTurn(context, signal))) return",
      "Streams would pile up where there is no room for any.",
    ],
    [
      "stream-drain-unheard",
      "of a shutdown as it begins",
      'signal.addEventListener("abort", over, { once: true })',
      "",
      "A stream that waits would hold a shutdown up to the end of its time.",
    ],
  ]),
]
