import type { Command } from "commander"
import type { Tier } from "../appraisal/finding.ts"
import { type Policy, parsePolicy } from "../appraisal/policy.ts"
import { toHex } from "../bytes.ts"
import { appraiseEvidence, type OfflineAppraisal } from "../service/appraise-evidence.ts"
import type { CommandContext } from "./command.ts"
import { parseEvidenceFile } from "./evidence-file.ts"
import { parseInstant, readJson, readText } from "./input.ts"
import { fieldLines, type Paint, type Report, tableLines } from "./output.ts"
import { findingJson } from "./view.ts"

const HELP = `
Example:
  assay appraise --evidence evidence.json --policy fleet.yaml --at 2026-03-01T12:00:00Z

evidence.json is {"akPublic", "attest", "signature", "nonce", "pcrs": {"sha256": {"0": …}}, "eventLog", "qualifiedName"},
all in hexadecimal; the last two may be left out. nonce is what extraData has to be.
Accepted (0) is only a tier that the policy lets in. There is no registry here: the key is taken on your word
(AK_BINDING_UNPROVEN), no counters are compared, no session is opened.`

interface Options {
  readonly evidence: string
  readonly policy: string
  readonly at?: string
}

/** `assay appraise`: what the service would say of evidence, without a service. */
export const addAppraise = (program: Command, { io, reporting }: CommandContext): void => {
  program
    .command("appraise")
    .description("Verify evidence and judge it by a policy, offline.")
    .requiredOption("--evidence <FILE>", "the evidence as JSON")
    .requiredOption("--policy <FILE>", "the policy as YAML or JSON")
    .option("--at <TIME>", "the instant that the appraisal carries, as 2026-03-01T12:00:00Z (default: now)")
    .addHelpText("after", HELP)
    .action(
      reporting(async (options: Options) => {
        const at = parseInstant(options.at, io)
        const policy = parsePolicy(await readText(options.policy, io))
        const evidence = parseEvidenceFile(await readJson(options.evidence, io))
        return appraisalReport(appraiseEvidence(evidence, policy), policy, at)
      }),
    )
}

const appraisalReport = (appraisal: OfflineAppraisal, policy: Policy, at: Date): Report => {
  const { admitted, tier, vector, findings, akName, evidenceDigest } = appraisal
  return {
    accepted: admitted,
    json: {
      admitted,
      tier,
      vector,
      findings: findings.map(findingJson),
      policy: policy.name,
      evaluatedAt: at.toISOString(),
      akName: toHex(akName),
      evidenceDigest: toHex(evidenceDigest),
    },
    table: (paint) => [
      `${paintTier(tier, paint)}, ${admitted ? paint.good("let in") : paint.bad("not let in")} by policy ${policy.name}`,
      "",
      ...fieldLines([
        ["key", toHex(akName)],
        ["judged at", at.toISOString()],
        ...Object.entries(vector).map(([claim, value]) => [claim, value] as const),
      ]),
      "",
      ...tableLines(
        ["tier", "rule", "code", "where", "expected", "found"],
        findings.map(({ tier, rule, code = "", location = "", expected = "", actual = "" }) => [
          tier,
          rule,
          code,
          location,
          expected,
          actual,
        ]),
      ),
    ],
  }
}

const paintTier = (tier: Tier, paint: Paint): string => {
  switch (tier) {
    case "affirming":
      return paint.good(tier)
    case "warning":
      return paint.warn(tier)
    case "contraindicated":
    case "none":
      return paint.bad(tier)
  }
}
