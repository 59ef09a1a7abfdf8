import { suite } from "uvu"
import * as assert from "uvu/assert"
import { FAULTS } from "../soak/openssl/faults/index.ts"
import { askAssay } from "../soak/openssl/judges.ts"
import { REASONS, SEARCH } from "../soak/openssl/reasons.ts"
import { caseAlone, generated } from "../soak/openssl/suite.ts"

/** Cases here; `make soak` has all of them. */
const SAMPLE = 200
/** `openssl verify` is a process for each case: as many at a time as there are cores on a small machine. */
const ABREAST = 2

const test = suite("verifyChain, against openssl verify")

test("the catalogue has faults of all kinds, each under a name of its own", () => {
  const ids = FAULTS.map(({ id }) => id)
  assert.is(new Set(ids).size, ids.length)
  assert.ok(FAULTS.filter(({ harmless }) => harmless !== true).length >= 40)
})
test("the closed list of reasons is about faults of the catalogue", () => {
  const ids = new Set(FAULTS.map(({ id }) => id))
  for (const { faults } of [SEARCH, ...REASONS]) for (const id of faults) assert.ok(ids.has(id), id)
})
for (const [n, { id, harmless }] of FAULTS.entries())
  test(`${harmless === true ? "accepts" : "refuses"}: ${id}`, () => {
    const { files, question } = caseAlone(n)
    assert.is(askAssay(files, question).accepted, harmless === true)
  })
test(`accepts nothing of ${SAMPLE} generated chains that OpenSSL refuses, but for the closed list of reasons`, async () => {
  const { counts, failures } = await generated.run(0, SAMPLE, ABREAST)
  assert.equal(failures, [])
  for (const kind of ["both accept", "both refuse"]) assert.ok((counts[kind] ?? 0) > SAMPLE / 10, kind)
})

test.run()
