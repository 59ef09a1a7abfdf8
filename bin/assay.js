#!/usr/bin/env node
// Starts the built command line. Plain JavaScript, for it may be started by a Node that is too old for the rest: then it
// hands over to the one that npm installed beside it.
import { spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import module from "node:module"
import { constants } from "node:os"
import { fileURLToPath } from "node:url"

const NODE_MAJOR_MIN = 24
const WRONG_USE = 2

const main = new URL("../dist/main.js", import.meta.url)
/** Of this installation alone, for what is kept there is run: whoever may write to it may as well change the program. */
const compiled = fileURLToPath(new URL("../.cache/compile", import.meta.url))
const pinned = fileURLToPath(new URL(`../node_modules/node-linux-${process.arch}/bin/node`, import.meta.url))

const fail = (message) => {
  process.stderr.write(`assay: ${message}\n`)
  process.exitCode = WRONG_USE
}

/**
 * How a server uses memory, which only a process that begins can be told: V8 collects what is young when it comes to a quarter of
 * what is its default, and the allocator has four pools for all threads, instead of one for each, from which little is given back.
 * Each thread keeps 300 freed pieces of a size for itself, and not seven: what dozens of calls that are under way together
 * free would else all go back to a pool, where it is sorted and put together. Nor does V8 put new things among the old because others of
 * their kind were still there when the young were collected, as those of every call under way are: they would stay until everything
 * is collected. The bench begins what it measures in the same way.
 */
const serving = JSON.parse(readFileSync(new URL("serving.json", import.meta.url), "utf8"))

/** Begins this process anew as a server's, under the same id. */
const beginServing = () => {
  const { execPath, execArgv, argv, env } = process
  process.execve(execPath, [execPath, ...serving.flags, ...execArgv, ...argv.slice(1)], {
    ...serving.env,
    ...env,
  })
}
const isTold = () => process.execArgv.some((flag) => serving.flags.includes(flag))

const run = () => {
  // By the environment, for threads and workers too. Where it cannot be written, everything is compiled at each start.
  process.env.NODE_COMPILE_CACHE ??= compiled
  if (process.argv.includes("serve") && !isTold()) return beginServing()
  module.enableCompileCache()
  return import(main.href)
    .then((program) => program.main(process.argv.slice(2)))
    .then((status) => {
      process.exitCode = status
    })
}

const handOver = () => {
  // Before there is a child: it may be up, and somebody may want it stopped, before this process is told so.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
  const child = spawn(pinned, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
  })
  child.on("error", (error) => fail(`${pinned} cannot be started: ${error.message}`))
  child.on("close", (status, signal) => {
    if (child.pid === undefined) return // never started, and said so
    process.exitCode = status === null ? 128 + constants.signals[signal] : status
  })
}

if (!existsSync(main)) fail("not built yet: run `make build`")
else if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR_MIN) run()
else if (existsSync(pinned)) handOver()
else
  fail(
    `needs Node ${NODE_MAJOR_MIN} or later, this is ${process.version}: run \`make build\`, or install one`,
  )
