import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createMetrics } from "../../src/web/metrics.ts"

const test = suite("createMetrics")

let challenges = { created: 5, spent: 3, outstanding: 2 }
let caches = [{ name: "context", hits: 7, misses: 1, entries: 1 }]
const metrics = createMetrics({
  challenges: () => challenges,
  caches: () => caches,
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

test("labels nothing by device, caller or tenant, and prefixes what is ours", async () => {
  const text = await metrics.registry.metrics()
  assert.not.match(text, /(device|caller|tenant)="/)
  for (const [, name] of text.matchAll(/^# TYPE (\S+)/gm))
    assert.match(name ?? "", /^(assay|process|nodejs)_/)
})

test.run()
