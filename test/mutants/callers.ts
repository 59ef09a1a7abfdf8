import type { Mutant } from "./mutant.ts"

const ROLES = { file: "src/server/roles.ts", tests: ["test/server/roles.test.ts"] } as const

/** Who calls, and what each may do. */
export const CALLERS: readonly Mutant[] = [
  {
    id: "role-not-asked",
    named: "G-11",
    covers: ["G-11"],
    file: "src/server/call.ts",
    tests: ["test/server/roles.test.ts"],
    find: "              authorize(method, caller)\n",
    replace: "",
    why: "Whoever is known could administer.",
  },
  {
    id: "role-any",
    named: "G-11",
    covers: ["G-11"],
    ...ROLES,
    find: "if (allowed?.includes(standing)) return",
    replace: "if (allowed !== undefined) return",
    why: "The table would say which methods there are, and not for whom.",
  },
  {
    id: "role-method-without-entry",
    named: "G-11",
    covers: ["G-11"],
    ...ROLES,
    find: "if (allowed?.includes(standing)) return",
    replace: "if (allowed === undefined || allowed.includes(standing)) return",
    why: "A method that somebody forgot in the table would be everybody's.",
  },
  {
    id: "role-enrollment-token",
    named: "G-11",
    covers: ["G-11"],
    ...ROLES,
    find: 'principal.own?.kind === "enrollment" ? "enrollee" : principal.role',
    replace: "principal.role",
    why: "Who holds an enrollment token could attest as a device.",
  },
  {
    id: "role-auditor-writes",
    named: "G-11",
    covers: ["G-11"],
    ...ROLES,
    find: '"assay.v1.TrustService/RemoveTrust": ADMINISTERING',
    replace: '"assay.v1.TrustService/RemoveTrust": READING',
    why: "Who may only look could take trust away.",
  },
]
