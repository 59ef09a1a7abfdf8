/**
 * Stands in for uvu where only the names of tests are wanted: takes them down and runs nothing. `test/names.ts` puts it
 * in uvu's place.
 */
const recorded: string[] = []

/** The names since the last call. */
export const takeNames = (): readonly string[] => recorded.splice(0)

const nothing = (): void => {}
const hook = Object.assign(nothing, { each: nothing })

/** As uvu's `suite`. */
export const suite = () =>
  Object.assign((name: string): number => recorded.push(name), {
    skip: (name = ""): number => recorded.push(name),
    before: hook,
    after: hook,
    run: nothing,
  })

/** As uvu's suite without a name. */
export const test = suite()
