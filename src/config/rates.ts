import { z } from "zod"

const PER_SECOND_MAX = 1_000_000

/** A rate: so many a second in the long run, and so many at once after a while without. */
const rate = (perSecond: number, burst: number) =>
  z
    .strictObject({
      perSecond: z.number().min(0.01).max(PER_SECOND_MAX).default(perSecond).describe("In the long run."),
      burst: z.int().min(1).max(PER_SECOND_MAX).default(burst).describe("At once, after a while without."),
    })
    .prefault({})

/** What callers may ask of one process. Over the administration socket nobody is limited. */
export const rates = z
  .strictObject({
    connection: rate(200, 2000).describe("Connections with TLS from one address (of IPv6: from one /64)."),
    source: rate(20_000, 40_000).describe(
      "Calls from one address, whoever makes them. Behind a proxy all calls come from one.",
    ),
    caller: rate(10_000, 20_000).describe("Calls of one caller; each request of a stream counts."),
    device: rate(5, 50).describe("The same of a device that calls for itself."),
    challenge: rate(5000, 10_000).describe("Challenges of one caller."),
    enrollee: rate(100, 1000).describe(
      "Calls of the holders of one enrollment token, from one address. All of them together are one caller.",
    ),
    enrollment: rate(50, 500).describe("Steps of enrollment of one caller."),
    guess: rate(1, 20).describe("Enrollment tokens that are none, by one connection."),
    anyone: rate(100, 500).describe(
      "Calls that need no caller (health, reflection), from one address, and each message of a stream of those.",
    ),
    callsMax: z
      .int()
      .min(1)
      .max(65_536)
      .default(1024)
      .describe("Calls of one caller that are not answered yet."),
    streamsMax: z.int().min(1).max(65_536).default(64).describe("Streams of one caller that are open."),
    anyoneMax: z
      .int()
      .min(1)
      .max(65_536)
      .default(64)
      .describe("Calls that need no caller, from one address, that are not answered yet."),
  })
  .prefault({})
  .describe("What callers may ask of one process. Beyond it calls end with RESOURCE_EXHAUSTED.")
