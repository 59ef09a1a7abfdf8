import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { cpuMs } from "../../loadtest/cpu.ts"

const cpu = suite("CPU time of processes")
/** It is read where Linux has it. */
const onLinux = (name: string, body: () => void | Promise<void>): void =>
  existsSync("/proc/self/stat") ? cpu(name, body) : cpu.skip(name)

onLinux("is counted while processes below come and go, and never falls", async () => {
  const parent = spawn("sh", ["-c", "while :; do /bin/true & /bin/true & wait; done"], { stdio: "ignore" })
  try {
    await once(parent, "spawn")
    const { pid = 0 } = parent
    const times = Array.from({ length: 3000 }, () => cpuMs(pid))
    assert.equal(
      times,
      times.toSorted((a, b) => a - b),
    )
  } finally {
    parent.kill("SIGKILL")
    await once(parent, "exit")
  }
})

onLinux("of a process that is not there is an error", () => {
  assert.throws(() => cpuMs(2 ** 30), /ENOENT|ESRCH/)
})

cpu.run()
