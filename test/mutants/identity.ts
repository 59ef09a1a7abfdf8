import type { Mutant } from "./mutant.ts"
import { mutantsOf } from "./rows.ts"

/** Who a device is: what binds its keys, where it stands with its operator, and for whom a caller may speak. */
export const IDENTITY: readonly Mutant[] = [
  ...mutantsOf("src/verification/endorsements.ts", "test/verification/endorsements.test.ts", [
    [
      "endorsement-of-another-ek",
      "K-03",
      "  if (ekPath !== undefined && shown.enrolled !== undefined) checkSameEk(ekPath.leaf, shown.enrolled)\n",
      "",
      "The certificates of another TPM could be put into a device's record.",
    ],
    [
      "activated-without-ek",
      "K-02",
      "shown.enrolled?.activated === true && (ekPath !== undefined || shown.ekListed)",
      "shown.enrolled?.activated === true",
      "A key would stay bound to an endorsement key that nobody vouches for any more.",
    ],
    [
      "activated-unasked",
      "K-02",
      "shown.enrolled?.activated === true && (",
      "(",
      "A key that was registered beside an endorsement key would be bound to it.",
    ],
  ]),
  ...mutantsOf("src/appraisal/rules/ak-binding.ts", "test/appraisal/rules/ak-binding.test.ts", [
    [
      "binding-by-activation",
      "activated beside",
      "endorsements.ak === undefined && !endorsements.activated",
      "endorsements.ak === undefined",
      "What activation proves would count for nothing.",
    ],
    [
      "binding-beside-ek",
      "K-02",
      "endorsements.ak === undefined && !endorsements.activated",
      "endorsements.ak === undefined && endorsements.ek === undefined && !endorsements.ekListed",
      "Any key beside a genuine endorsement key would be bound to it.",
    ],
  ]),
  ...mutantsOf("src/appraisal/rules/tpm-maker.ts", "test/appraisal/rules/tpm-maker.test.ts", [
    [
      "hardware-of-some-tpm",
      "affirms hardware",
      "(endorsements.ek !== undefined && endorsements.activated)",
      "endorsements.ek !== undefined",
      "The certificate of one TPM would make the hardware of another genuine.",
    ],
  ]),
  ...mutantsOf("src/appraisal/rules/device-state.ts", "test/appraisal/rules/device-state.test.ts", [
    [
      "device-state-unasked",
      "refuses a device that is",
      'state === "active"',
      'state !== "revoked"',
      "A device that waits, is suspended or retired would get sessions.",
    ],
  ]),
  ...mutantsOf("src/service/verify.ts", "test/service/own-device.test.ts", [
    [
      "verify-state-untold",
      "refuses a session to a device",
      "state: context.snapshot.device.state,",
      'state: "active",',
      "Suspending a device would change nothing.",
    ],
    [
      "verify-for-another",
      "G-11",
      "readOwn(\n    caller,\n",
      "readOwn(\n    { ...caller, own: undefined },\n",
      "Who owns one device could present another's evidence.",
    ],
  ]),
  ...mutantsOf("src/service/own-device.ts", "test/service/own-device.test.ts", [
    [
      "own-any-device",
      "G-11",
      "return own.id === id",
      "return own.id !== undefined",
      "A device could speak for every other one.",
    ],
    [
      "own-any-token",
      "no others",
      "return own.token === token",
      "return token !== undefined",
      "Who holds one enrollment token could speak for the devices of all.",
    ],
    [
      "own-tells-who-is-there",
      "in the same words",
      'error instanceof AssayError && error.code === "DEVICE_NOT_FOUND" ? foreign() : error',
      "error",
      "A device could find out which others there are.",
    ],
  ]),
  ...mutantsOf("src/service/challenge.ts", "test/service/own-device.test.ts", [
    [
      "challenge-for-any",
      "whether it names itself",
      'if (own.kind === "device") return own.id',
      'if (own.kind === "device") return device',
      "A device's own challenge would be good for every other device.",
    ],
    [
      "challenge-for-another",
      "G-11",
      "  readOwn(\n    caller,\n",
      "  readOwn(\n    { ...caller, own: undefined },\n",
      "A device could ask for challenges of another, and find out whether it is there.",
    ],
  ]),
]
