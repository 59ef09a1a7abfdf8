import * as assert from "uvu/assert"
import { AssayError, type Code } from "../../src/errors.ts"

/** The AssayError that `act` throws; fails if it throws nothing, anything else, or another code. */
export const throwsCode = (act: () => unknown, code: Code | readonly Code[]): AssayError => {
  let thrown: unknown
  let returned = false
  try {
    act()
    returned = true
  } catch (error) {
    thrown = error
  }
  if (returned) assert.unreachable(`expected ${String(code)}, but nothing was thrown`)
  return expectCode(thrown, code)
}

/** As `throwsCode`, for promises. */
export const rejectsCode = async (
  act: () => Promise<unknown>,
  code: Code | readonly Code[],
): Promise<AssayError> => {
  let thrown: unknown
  let resolved = false
  try {
    await act()
    resolved = true
  } catch (error) {
    thrown = error
  }
  if (resolved) assert.unreachable(`expected ${String(code)}, but nothing was thrown`)
  return expectCode(thrown, code)
}

const expectCode = (thrown: unknown, code: Code | readonly Code[]): AssayError => {
  if (!(thrown instanceof AssayError)) throw thrown
  const codes = typeof code === "string" ? [code] : code
  if (!codes.includes(thrown.code))
    assert.unreachable(`expected ${codes.join(" or ")}, got ${thrown.code}: ${thrown.message}`)
  return thrown
}
