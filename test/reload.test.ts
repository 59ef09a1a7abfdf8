import { execFileSync } from "node:child_process"
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../src/bytes.ts"
import { AssayError } from "../src/errors.ts"
import { FILE_BYTES_MAX, openAll, type WatchedFile, watchFiles } from "../src/reload.ts"
import { inFolder } from "./server/fake.ts"
import { throwsCode } from "./support/assert.ts"

const test = suite("watchFiles")

/** Numbers in two files that have to be the same. */
const read = (contents: readonly Uint8Array[]): number => {
  const [first, second = first] = contents.map((bytes) => Number(new TextDecoder().decode(bytes)))
  if (first !== second || !Number.isInteger(first))
    throw new AssayError("INPUT", `not one number: ${first} and ${second}`)
  return first ?? 0
}

const watching = (files: readonly WatchedFile[]) => {
  const told: unknown[] = []
  const watched = watchFiles({
    files,
    read,
    changed: (value) => told.push(value),
    alarm: (error) => told.push(error?.code ?? "good again"),
    intervalMs: 60_000,
  })
  return { ...watched, told }
}

const inFiles = (act: (a: string, b: string) => Promise<void>): Promise<void> =>
  inFolder(async (folder) => {
    const [a, b] = [`${folder}/a`, `${folder}/b`]
    writeFileSync(a, "1")
    writeFileSync(b, "1")
    await act(a, b)
  })

test("takes files that have changed together", () =>
  inFiles(async (a, b) => {
    const watched = watching([{ path: a }, { path: b }])
    assert.is(watched.current(), 1)
    await watched.look()
    assert.equal(watched.told, [], "nothing has changed")
    writeFileSync(a, "2")
    writeFileSync(b, "2")
    await watched.look()
    assert.is(watched.current(), 2)
    assert.is(watched.unready(), undefined)
    assert.equal(watched.told, [2])
    watched.close()
  }))
test("takes what a symbolic link leads to since it was turned", () =>
  inFolder(async (folder) => {
    for (const name of ["old", "new"]) {
      mkdirSync(`${folder}/${name}`)
      writeFileSync(`${folder}/${name}/a`, name === "old" ? "1" : "2")
    }
    symlinkSync("old", `${folder}/data`)
    const watched = watching([{ path: `${folder}/data/a` }])
    symlinkSync("new", `${folder}/data.tmp`)
    renameSync(`${folder}/data.tmp`, `${folder}/data`)
    await watched.look()
    assert.is(watched.current(), 2)
    watched.close()
  }))
test("looks by itself, and no more once it is closed", () =>
  inFiles(async (a) => {
    const watched = watchFiles({ files: [{ path: a }], read, intervalMs: 5 })
    writeFileSync(a, "2")
    for (let i = 0; i < 200 && watched.current() !== 2; i++) await pause(10)
    assert.is(watched.current(), 2)
    watched.close()
    writeFileSync(a, "3")
    await pause(30)
    assert.is(watched.current(), 2)
  }))

const damages: [name: string, damage: (a: string, b: string) => void][] = [
  ["one that changed without the other", (a) => writeFileSync(a, "2")],
  ["one that is half written", (a) => writeFileSync(a, "1x")],
  ["one that is empty", (a) => truncateSync(a)],
  ["one that is gone", (a) => rmSync(a)],
  [
    "one that is a folder",
    (a) => {
      rmSync(a)
      mkdirSync(a)
    },
  ],
  [
    "one that is a named pipe",
    (a) => {
      rmSync(a)
      execFileSync("mkfifo", [a])
    },
  ],
  ["one that is too large", (a) => truncateSync(a, FILE_BYTES_MAX + 1)],
  [
    "one that leads nowhere",
    (a) => {
      rmSync(a)
      symlinkSync("/nowhere", a)
    },
  ],
  ["a secret that everybody can read", (_, b) => chmodSync(b, 0o644)],
]
for (const [name, damage] of damages) {
  test(`S-09 keeps the last good value for files with ${name}, says so once, and goes on when they are good`, () =>
    inFiles(async (a, b) => {
      chmodSync(b, 0o600)
      const watched = watching([{ path: a }, { path: b, secret: true }])
      damage(a, b)
      await watched.look()
      await watched.look()
      assert.is(watched.current(), 1)
      assert.match(watched.unready() ?? "", /\S/)
      assert.equal(watched.told, ["INPUT"])
      rmSync(a, { recursive: true, force: true })
      for (const path of [a, b]) writeFileSync(path, "3")
      chmodSync(b, 0o600)
      await watched.look()
      assert.is(watched.current(), 3)
      assert.is(watched.unready(), undefined)
      assert.equal(watched.told, ["INPUT", "good again", 3])
      watched.close()
    }))
  test(`refuses S-09 to begin with ${name}`, () =>
    inFiles(async (a, b) => {
      chmodSync(b, 0o600)
      damage(a, b)
      throwsCode(() => watching([{ path: a }, { path: b, secret: true }]), "INPUT")
    }))
}
test("S-09 takes an empty file for one that is about to be written, whatever it would mean", () =>
  inFiles(async (a) => {
    const watched = watching([{ path: a }])
    truncateSync(a)
    await watched.look()
    assert.equal([watched.current(), watched.told], [1, ["INPUT"]])
    watched.close()
  }))
test("S-09 tells of another fault while there is one, and that what was there is back", () =>
  inFiles(async (a) => {
    const watched = watching([{ path: a }])
    writeFileSync(a, "x")
    await watched.look()
    rmSync(a)
    await watched.look()
    writeFileSync(a, "1")
    await watched.look()
    assert.equal(watched.told, ["INPUT", "INPUT", "good again"])
    assert.is(watched.unready(), undefined)
    watched.close()
  }))
test("S-09 keeps the last good value where reading it fails unforeseen", () =>
  inFiles(async (a) => {
    const told: unknown[] = []
    const watched = watchFiles({
      files: [{ path: a }],
      read: (contents) => {
        if (contents[0]?.[0] !== utf8("1")[0]) throw new TypeError("unforeseen")
        return 1
      },
      alarm: (error) => told.push(error?.code),
    })
    writeFileSync(a, "2")
    await watched.look()
    assert.equal([watched.current(), told], [1, ["INTERNAL"]])
    assert.ok(watched.unready() !== undefined)
    watched.close()
  }))
test("closes what it has opened if one of many cannot be opened", () => {
  const closed: number[] = []
  const open = (n: number) => {
    if (n === 3) throw new AssayError("INPUT", "three")
    return { close: () => closed.push(n) }
  }
  throwsCode(() => openAll([1, 2, 3, 4], open), "INPUT")
  assert.equal(closed, [1, 2])
  assert.is(openAll([1, 2], open).length, 2)
})
test.run()
