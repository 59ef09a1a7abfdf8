import { ALGORITHMS } from "./algorithms.ts"
import { AUTHORITY } from "./authority.ts"
import { CANDIDATES } from "./candidates.ts"
import { ODD_CONSTRAINTS } from "./constraint-oddities.ts"
import { CONSTRAINTS } from "./constraints.ts"
import { CRL_SCOPES } from "./crl-scopes.ts"
import { CRLS } from "./crls.ts"
import { ENCODING } from "./encoding.ts"
import { EXTENSIONS } from "./extensions.ts"
import type { Fault } from "./fault.ts"
import { NAMES } from "./names.ts"
import { PATHS } from "./paths.ts"
import { POLICIES } from "./policies.ts"
import { VALIDITY } from "./validity.ts"

/** The catalogue. */
export const FAULTS: readonly Fault[] = [
  ...VALIDITY,
  ...AUTHORITY,
  ...ALGORITHMS,
  ...NAMES,
  ...CONSTRAINTS,
  ...ODD_CONSTRAINTS,
  ...EXTENSIONS,
  ...POLICIES,
  ...ENCODING,
  ...PATHS,
  ...CANDIDATES,
  ...CRLS,
  ...CRL_SCOPES,
]
