import type { Mutant } from "./mutant.ts"
import { mutantsOf } from "./rows.ts"

const TEST = "test/service/charge.test.ts"

/** What requests turn out to cost, which whoever sends them would else have for nothing. */
export const CHARGES: readonly Mutant[] = [
  ...mutantsOf("src/service/charge.ts", TEST, [
    [
      "charge-quote",
      "N-07",
      "if (checks > 1) charge(who, checks - 1)",
      "",
      "Devices with dear keys would cost their caller no more than others.",
    ],
    [
      "charge-certified",
      "N-07",
      "(certification === undefined ? 1 : 2)",
      "1",
      "The signature over a certified key would cost nothing.",
    ],
    [
      "charge-credential",
      "N-07",
      "charge(who, checksBy(ek.area.key))",
      "undefined",
      "Credentials would cost nothing, whatever the key is that they are made for.",
    ],
  ]),
  ...mutantsOf("src/service/verify.ts", TEST, [
    [
      "charge-chain",
      "N-07",
      "ports.charge(caller, checks),",
      "undefined,",
      "Certificates that come with evidence would cost nothing, eight times as much as the rest.",
    ],
    [
      "charge-verify",
      "N-07",
      "  chargeQuote(ports, caller, context.ak, evidence)\n",
      "",
      "Devices with dear keys would cost their caller no more than others.",
    ],
  ]),
  ...mutantsOf("src/service/complete-enrollment.ts", TEST, [
    [
      "charge-completed",
      "N-07",
      "  chargeQuote(ports, who, eligible.ak, attempt.evidence)\n",
      "",
      "The quote that completes an enrollment would cost nothing, by whatever key.",
    ],
  ]),
  ...mutantsOf("src/service/vouching.ts", TEST, [
    [
      "charge-enrolled",
      "N-07",
      "ports.charge(caller, checks)",
      "undefined",
      "Certificates of those who come to enroll would cost nothing.",
    ],
  ]),
  ...mutantsOf("src/verification/budget.ts", "test/verification/budget.test.ts", [
    [
      "charge-check",
      "N-07",
      "    this.#charge?.(checks)\n",
      "",
      "Signature checks of a path would cost nobody anything.",
    ],
  ]),
]
