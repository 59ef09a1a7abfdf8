/** The rules that the schema states for each field, judged before anything else sees a request. */
import { setImmediate } from "node:timers/promises"
import { create, type DescMessage, type DescService, type MessageShape } from "@bufbuild/protobuf"
import { pathToString } from "@bufbuild/protobuf/reflect"
import { createValidator } from "@bufbuild/protovalidate"
import { AssayError } from "../errors.ts"
import { type Received, Refused, type Violation } from "../rpc.ts"

const validator = createValidator()

/** A request to which every rule applies, or what is wrong with it. */
export type Checked<I extends DescMessage> =
  | { readonly kind: "valid"; readonly request: MessageShape<I> }
  | { readonly kind: "invalid"; readonly error: AssayError; readonly violations: readonly Violation[] }

/**
 * Judges what was received. A rule that cannot be judged is INTERNAL, never a pass.
 *
 * @param keeps Whether all rules are known to hold, found out in a shorter way; nothing if there is none.
 */
export function check<I extends DescMessage>(
  schema: I,
  received: Received<I>,
  keeps?: (request: MessageShape<I>) => boolean,
): Checked<I> {
  if (received instanceof Refused)
    return { kind: "invalid", error: received.error, violations: received.violations }
  if (keeps?.(received) === true) return { kind: "valid", request: received }
  const result = validator.validate(schema, received)
  switch (result.kind) {
    case "valid":
      return { kind: "valid", request: received }
    case "invalid": {
      const violations = result.violations.map(({ field, message }) => ({
        field: pathToString(field),
        description: message,
      }))
      const [first = { field: "", description: "invalid" }] = violations
      const { field: location, description } = first
      return {
        kind: "invalid",
        error: new AssayError("FIELD", `${location}: ${description}`, { location }),
        violations,
      }
    }
    case "error": {
      const error = new AssayError("INTERNAL", "a rule cannot be judged", { cause: result.error })
      return { kind: "invalid", error, violations: [] }
    }
  }
}

/**
 * Compiles the rules of every request of services, which takes 150 ms in all: request by request, so that others have the
 * event loop in between. Whoever asks before has his request's compiled then.
 */
export async function warm(services: readonly DescService[]): Promise<void> {
  for (const { input } of services.flatMap(({ methods }) => methods)) {
    await setImmediate()
    validator.validate(input, create(input))
  }
}
