import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Circumstances } from "../../../src/appraisal/rules/rule.ts"
import { tpmFirmware } from "../../../src/appraisal/rules/tpm-firmware.ts"
import { EARLIER, goodClaims, verdictOf } from "../../support/core.ts"

const test = suite("tpmFirmware")

const NOW = 0x2019102300163636n
const same = { ...goodClaims.clockInfo, firmwareVersion: NOW, recordedAt: EARLIER }
const newer = { ...same, firmwareVersion: NOW + 1n }
const forgotten = { ...same, firmwareVersion: undefined }
const list = (...versions: readonly string[]) => ({ "tpm.firmwareVersions": versions })
const change = (word: string) => ({ "tpm.firmwareChange": word })
const refused = ["contraindicated", "TPM_FIRMWARE"]
const warned = ["warning", "TPM_FIRMWARE"]
const accepted = ["affirming", undefined]

const cases: [
  name: string,
  terms: Readonly<Record<string, unknown>>,
  before: Circumstances["before"],
  expected: unknown,
][] = [
  ["accepts a firmware of the list", list("0000000000000001", "2019102300163636"), undefined, accepted],
  ["refuses K-09 a firmware that is not of the list", list("2019102300163637"), undefined, refused],
  ["accepts any firmware where there is no list", {}, undefined, accepted],
  ["accepts the firmware that was first seen", change("refused"), same, accepted],
  ["warns of K-09 another than was first seen", {}, newer, warned],
  ["refuses K-09 another than was first seen where the policy says so", change("refused"), newer, refused],
  ["accepts any firmware after its operator accepted another", change("refused"), forgotten, accepted],
  ["ignores another than was first seen where the policy says so", change("ignored"), newer, accepted],
  ["warns of K-09 a listed one that is not the first seen", list("2019102300163636"), newer, warned],
  [
    "refuses K-09 an unlisted one, also if changes are ignored",
    { ...list("0".repeat(16)), ...change("ignored") },
    newer,
    refused,
  ],
]
for (const [name, terms, before, expected] of cases)
  test(name, () => {
    assert.equal(verdictOf(tpmFirmware, { firmwareVersion: NOW }, terms, { before }), expected)
  })

test.run()
