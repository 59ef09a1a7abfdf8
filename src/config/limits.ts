import { z } from "zod"

const MIB = 1024 * 1024
const connections = (fallback: number) => z.int().min(1).max(65_536).default(fallback)
const seconds = (fallback: number) => z.number().min(0.1).max(3600).default(fallback)

/** What one process takes on at a time. Over the administration socket nobody is limited. */
export const limits = z
  .strictObject({
    connections: connections(4096).describe("Connections."),
    connectionsPerAddress: connections(1024).describe(
      "Connections from one address (of IPv6: from one /64). Behind a proxy all connections come from one.",
    ),
    strangers: connections(128).describe(
      "Of these, connections on which nobody has called yet who is known. One that does nothing is closed.",
    ),
    strangerSeconds: seconds(20).describe("After so long."),
    heldBytes: z
      .int()
      .min(8 * MIB)
      .max(4096 * MIB)
      .default(128 * MIB)
      .describe("Of requests that are not answered yet. A quarter is for those of up to 16 KiB."),
    heldBytesPerCaller: z
      .int()
      .min(4 * MIB)
      .max(4096 * MIB)
      .default(32 * MIB)
      .describe(
        "The same of one caller, of one connection, and of all who share their turns (docs/callers.md); of each of those, half.",
      ),
    running: z.int().min(1).max(65_536).default(256).describe("Requests that are begun and not answered."),
    waiting: z.int().min(1).max(65_536).default(4096).describe("Requests that wait for their turn."),
    waitSeconds: z
      .number()
      .min(0.005)
      .max(10)
      .default(0.1)
      .describe(
        "For how long one may have to wait, as it is measured, where some wait at any time. Beyond it, who asks most is refused.",
      ),
    receiveSeconds: seconds(10).describe("For a request to be complete, from its call's first byte."),
    callSeconds: seconds(30).describe("For a call that is no stream, whatever its caller would wait."),
  })
  .prefault({})
  .describe(
    "What one process takes on at a time. Beyond it connections are closed and calls end with RESOURCE_EXHAUSTED or DEADLINE_EXCEEDED.",
  )
