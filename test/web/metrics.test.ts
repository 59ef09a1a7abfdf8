import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createMetrics } from "../../src/web/metrics.ts"
import type { TrustCounts } from "../../src/web/refresher.ts"

const test = suite("createMetrics")

let challenges = { created: 5, spent: 3, outstanding: 2 }
let caches = [{ name: "context", hits: 7, misses: 1, entries: 1 }]
let trust: TrustCounts = {
  anchors: 2,
  generation: 7,
  crls: 0,
  nextUpdate: undefined,
  ageSeconds: undefined,
  outcomes: { changed: 1, unchanged: 0, failed: 3, aborted: 0 },
}
const metrics = createMetrics({
  challenges: () => challenges,
  caches: () => caches,
  trust: () => trust,
})

const sample = async (line: string): Promise<number | undefined> => {
  const found = (await metrics.registry.metrics()).split("\n").find((one) => one.startsWith(`${line} `))
  return found === undefined ? undefined : Number(found.slice(line.length + 1))
}

test("counts verifications by tier, from zero", async () => {
  assert.is(await sample('assay_verifications_total{tier="affirming"}'), 0)
  metrics.verified("affirming")
  metrics.verified("contraindicated")
  metrics.verified("contraindicated")
  assert.is(await sample('assay_verifications_total{tier="affirming"}'), 1)
  assert.is(await sample('assay_verifications_total{tier="contraindicated"}'), 2)
  assert.is(await sample('assay_verifications_total{tier="warning"}'), 0)
})

test("counts refusals by code", async () => {
  metrics.refused("NONCE_SPENT")
  assert.is(await sample('assay_refusals_total{code="NONCE_SPENT"}'), 1)
})

test("counts the time that requests took beyond what most do", async () => {
  assert.is(await sample("assay_charged_seconds_total"), 0)
  metrics.charged(0.25)
  metrics.charged(0.5)
  assert.is(await sample("assay_charged_seconds_total"), 0.75)
})

test("measures calls in seconds, and names no more methods than a server has", async () => {
  metrics.called("assay.v1.AttestationService/Verify", "OK", 0.0003)
  for (let i = 0; i < 100; i++) metrics.called(`invented/${i}`, "UNIMPLEMENTED", 0.0001)
  const verify = 'method="assay.v1.AttestationService/Verify",code="OK"'
  assert.is(await sample(`assay_rpc_duration_seconds_count{${verify}}`), 1)
  assert.is(await sample(`assay_rpc_duration_seconds_bucket{le="0.0002",${verify}}`), 0)
  assert.is(await sample(`assay_rpc_duration_seconds_bucket{le="0.0005",${verify}}`), 1)
  assert.is(await sample('assay_rpc_duration_seconds_count{method="other",code="UNIMPLEMENTED"}'), 37)
  assert.not((await metrics.registry.metrics()).includes("invented/63"))
})

test("reads what others count at each scrape", async () => {
  assert.is(await sample("assay_challenges_created_total"), 5)
  assert.is(await sample("assay_challenges_spent_total"), 3)
  assert.is(await sample("assay_challenges_outstanding"), 2)
  assert.is(await sample('assay_cache_hits_total{cache="context"}'), 7)
  assert.is(await sample('assay_cache_misses_total{cache="context"}'), 1)
  challenges = { created: 6, spent: 4, outstanding: 0 }
  caches = [{ name: "context", hits: 9, misses: 2, entries: 2 }]
  assert.is(await sample("assay_challenges_created_total"), 6)
  assert.is(await sample("assay_challenges_outstanding"), 0)
  assert.is(await sample('assay_cache_hits_total{cache="context"}'), 9)
  assert.is(await sample('assay_cache_entries{cache="context"}'), 2)
})

test("tells how trust stands, and no number for what there is none of", async () => {
  assert.is(await sample('assay_trust_refresh_total{outcome="changed"}'), 1)
  assert.is(await sample('assay_trust_refresh_total{outcome="failed"}'), 3)
  assert.is(await sample("assay_trust_anchors"), 2)
  assert.is(await sample("assay_trust_generation"), 7)
  for (const name of ["next_update_timestamp", "age"])
    assert.ok(Number.isNaN(await sample(`assay_trust_crl_${name}_seconds`)), name)
  trust = { ...trust, crls: 4, nextUpdate: new Date("2026-03-01T12:00:00Z"), ageSeconds: 90 }
  assert.is(await sample("assay_trust_crls"), 4)
  assert.is(await sample("assay_trust_crl_next_update_timestamp_seconds"), 1_772_366_400)
  assert.is(await sample("assay_trust_crl_age_seconds"), 90)
})

test("tells nothing of trust where nobody keeps it", async () => {
  const without = createMetrics({ challenges: () => challenges, caches: () => caches })
  assert.not.match(await without.registry.metrics(), /assay_trust/)
})

test("labels nothing by device, caller or tenant, and prefixes what is ours", async () => {
  const text = await metrics.registry.metrics()
  assert.not.match(text, /(device|caller|tenant|source|url)="/)
  for (const [, name] of text.matchAll(/^# TYPE (\S+)/gm))
    assert.match(name ?? "", /^(assay|process|nodejs)_/)
})

test.run()
