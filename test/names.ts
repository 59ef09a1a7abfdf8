/**
 * Prints the name of every test of every file as JSON, by file, without running one: the files are loaded with a
 * recorder in uvu's place, so that names that are made from tables are found too.
 */
import { globSync } from "node:fs"
import { registerHooks } from "node:module"
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { takeNames } from "./support/recorder.ts"

const recorder = new URL("./support/recorder.ts", import.meta.url).href
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === "uvu" ? { url: recorder, shortCircuit: true } : next(specifier, context),
})

const names: [file: string, names: readonly string[]][] = []
for (const file of globSync("test/**/*.test.ts").sort()) {
  await import(pathToFileURL(resolve(file)).href)
  names.push([file, takeNames()])
}
process.stdout.write(JSON.stringify(names), () => process.exit(0))
