import { APPRAISAL } from "./appraisal.ts"
import { BACKUPS } from "./backup.ts"
import { CALLERS } from "./callers.ts"
import { CERTIFICATES } from "./certificate.ts"
import { CERTIFICATION } from "./certification.ts"

import { DEVICES } from "./devices.ts"
import { EDGE } from "./edge.ts"
import { ENDORSEMENT } from "./endorsement.ts"
import { ENGINE } from "./engine.ts"
import { ENROLL } from "./enroll.ts"
import { ENROLLMENT } from "./enrollment.ts"
import { EVENT_LOGS } from "./event-logs.ts"
import { IDENTITY } from "./identity.ts"
import { JOURNAL } from "./journal.ts"
import { MANAGING, TERMINAL } from "./managing.ts"
import { METER } from "./meter.ts"
import type { Mutant } from "./mutant.ts"
import { PATHS } from "./path.ts"
import { POSTGRES } from "./postgres.ts"
import { RATES } from "./rates.ts"
import { REFRESH } from "./refresh.ts"
import { SERVICE } from "./service.ts"
import { SHARED_STORE } from "./shared-store.ts"
import { STORE } from "./store.ts"
import { TRUST } from "./trust.ts"
import { VERDICTS } from "./verdicts.ts"
import { VERIFICATION } from "./verification.ts"
import { WORKERS } from "./workers.ts"

/** Every check of Assay that can be taken away, one at a time. */
export const MUTANTS: readonly Mutant[] = [
  ...VERIFICATION,
  ...APPRAISAL,
  ...SERVICE,
  ...ENGINE,
  ...POSTGRES,
  ...SHARED_STORE,
  ...CALLERS,
  ...RATES,

  ...EDGE,
  ...METER,
  ...JOURNAL,
  ...BACKUPS,
  ...DEVICES,
  ...MANAGING,
  ...TERMINAL,
  ...STORE,
  ...ENDORSEMENT,
  ...ENROLLMENT,
  ...ENROLL,
  ...IDENTITY,
  ...TRUST,
  ...REFRESH,
  ...CERTIFICATES,
  ...CERTIFICATION,
  ...PATHS,
  ...WORKERS,
  ...EVENT_LOGS,
  ...VERDICTS,
]

/** The checks that a quote has to pass, in their order, and the rules for its clock. */
export const ROWS: readonly string[] = [
  "row-1", // the device is known, in the caller's tenant, by the registered key
  "row-2", // the signature is of the key's own scheme and hash
  "row-3", // the key signed exactly these bytes
  "row-4", // a TPM made them, and they are a quote
  "row-5", // the key sits below the registered parent
  "row-6", // extraData answers what was asked, once
  "row-7", // the selection is one, and has what the policy requires
  "row-8", // there are values for exactly the selection
  "row-9", // the digest over the values is the signed one
  "row-10", // no rollback, and not too many resets
  "row-11", // the TPM's firmware is the expected one
  "row-12", // the log leads to the values, and the policy accepts them
  "clock",
]

/** The classes of the attack catalogue that Assay has to refuse. */
export const CLASSES: readonly string[] = [
  ...Array.from({ length: 16 }, (_, i) => `Q-${String(i + 1).padStart(2, "0")}`),
  ...Array.from({ length: 9 }, (_, i) => `K-0${i + 1}`),
  ...Array.from({ length: 7 }, (_, i) => `C-0${i + 1}`),
  ...Array.from({ length: 20 }, (_, i) => `X-${String(i + 1).padStart(2, "0")}`),
  "N-01",
  "N-02",
  "N-03",
  "N-04",
  "N-05",
  "N-07",
  "T-01",
  "T-02",
  "T-03",
  "T-04",
  "T-07",
  "T-08",
  ...Array.from({ length: 10 }, (_, i) => `G-${String(i + 1).padStart(2, "0")}`),
  "G-11",
  "G-12",
  "S-01",
  "S-02",
  "S-03",
  "S-04",
  "S-06",
  "S-07",
  "S-08",
  "S-09",
  "P-01",
  "P-02",
  "P-05",
  "P-06",
  "P-07",
]
