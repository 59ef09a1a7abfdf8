import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type AskedFilter, parseFilter } from "../../src/service/device-filter.ts"
import { throwsCode } from "../support/assert.ts"

const test = suite("parseFilter")

const accepted: [text: string, expected: AskedFilter][] = [
  ["", {}],
  ["   ", {}],
  ["state=active", { state: "active" }],
  ['state="suspended"', { state: "suspended" }],
  ["  state  =  pending  ", { state: "pending" }],
  ["freshness=silent", { freshness: "silent" }],
  ['group="edge"', { group: "edge" }],
  ["policy=fleet.v2", { policy: "fleet.v2" }],
  ['labels.site="north 4"', { label: { key: "site", value: "north 4" } }],
  ['labels.rack-4.unit=""', { label: { key: "rack-4.unit", value: "" } }],
  ['labels.a="say \\"AND\\" \\\\"', { label: { key: "a", value: 'say "AND" \\' } }],
  ["labels.state=active", { label: { key: "state", value: "active" } }],
  ["labels.x=AND AND group=a", { label: { key: "x", value: "AND" }, group: "a" }],
  ['id="gate-*"', { idPrefix: "gate-" }],
  ["id=g*", { idPrefix: "g" }],
  [
    'state=active AND group="edge" AND labels.site="x" AND id="gate-*" AND freshness=silent AND policy="p"',
    {
      state: "active",
      group: "edge",
      label: { key: "site", value: "x" },
      idPrefix: "gate-",
      freshness: "silent",
      policy: "p",
    },
  ],
]
for (const [text, expected] of accepted)
  test(`reads ${text || "nothing"}`, () => assert.equal(parseFilter(text), expected))

const refused: [what: string, text: string, character: number][] = [
  ["a name that there is not", "name=x", 1],
  ["a name in capitals", "State=active", 1],
  ["a name of every object", "constructor=x", 1],
  ["a prototype", "__proto__=x", 1],
  ["a name alone", "state", 6],
  ["a name without a value", "state=", 7],
  ["a value without a name", "=active", 1],
  ["a state that there is not", "state=broken", 7],
  ["a state in capitals", "state=ACTIVE", 7],
  ["a state of every object", "state=constructor", 7],
  ["a freshness that there is not", "freshness=stale", 11],
  ["another sign", "state!=active", 6],
  ["two signs", "state==active", 7],
  ["OR", "state=active OR state=pending", 14],
  ["and in small letters", "state=active and group=a", 14],
  ["an AND too many", "state=active AND", 17],
  ["an AND at the beginning", "AND state=active", 5],
  ["terms without AND", "state=active group=a", 14],
  ["parentheses", "(state=active)", 1],
  ["a state twice", "state=active AND state=active", 18],
  ["a group twice", "group=a AND group=b", 13],
  ["two labels", "labels.a=1 AND labels.b=2", 16],
  ["an id without a star", "id=gate-7", 4],
  ["a star alone", 'id="*"', 4],
  ["a star in the middle", 'id="ga*te*"', 4],
  ["a text without its end", 'group="edge', 7],
  ["another escape", 'labels.a="\\n"', 10],
  ["an escape at the end", 'labels.a="\\', 10],
  ["single quotes", "group='edge'", 7],
  ["an empty group", 'group=""', 7],
  ["an empty policy", 'policy=""', 8],
  ["a label without a key", 'labels.="x"', 8],
]
for (const [what, text, character] of refused)
  test(`refuses ${what}`, () => {
    const error = throwsCode(() => parseFilter(text), "FILTER")
    assert.is(error.location, `filter, character ${character}`)
  })

const hostile: [what: string, text: string][] = [
  ["with a newline", 'group="a\nb"'],
  ["with a newline at its end", "group=edge\n"],
  ["with an escape sequence of a terminal", 'labels.a="\u001b[2J"'],
  ["with a NUL", 'labels.a="a\0b"'],
  ["with path parts", 'id="../etc/*"'],
  ["with a path in a group", 'group="a/../b"'],
  ["with a Cyrillic letter", 'group="\u0435dge"'],
  ["with a full-width letter", 'id="\uff47ate-*"'],
  ["with a letter and its accent apart", 'group="e\u0301dge"'],
  ["with a direction override", 'labels.a="\u202ex"'],
  ["with a no-break space", "state\u00a0=active"],
  ["with a lone surrogate", 'labels.a="\ud800"'],
  ["with a quote of SQL", "group=a' OR '1'='1"],
  ["with a percent sign", 'id="%*"'],
  ["with an id of 64 characters", `id="${"a".repeat(64)}*"`],
  ["with a label of 256 characters", `labels.a="${"a".repeat(256)}"`],
  ["with a megabyte", `group="${"a".repeat(1 << 20)}"`],
  ["with a megabyte of terms", "state=active AND ".repeat(60_000)],
]
for (const [what, text] of hostile)
  test(`refuses G-12 a filter ${what}`, () => {
    const error = throwsCode(() => parseFilter(text), "FILTER")
    for (const shown of [error.message, error.location, error.actual ?? ""])
      assert.match(shown ?? "", /^[\x20-\x7e…]*$/)
  })

test.run()
