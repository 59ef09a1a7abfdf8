import type { Mutant } from "./mutant.ts"
import { mutantsOf } from "./rows.ts"

const DEVICES = "test/store/devices.test.ts"
const ACTS = "test/store/acts.test.ts"
const JOURNAL = "test/store/journal.test.ts"

/** What the registry refuses whoever asks for it, and what it writes only together. */
export const STORE: readonly Mutant[] = [
  ...mutantsOf("src/store/devices.ts", DEVICES, [
    [
      "enroll-any-trust",
      "S-04",
      "checkGeneration((yield* stateOf(tenant)).generation, fresh.trust)",
      "checkGeneration((yield* stateOf(tenant)).generation, undefined)",
      "A device would be enrolled by a certificate of an anchor that was just removed.",
    ],
    [
      "enroll-expired-permit",
      "K-04",
      "before?.permit !== undefined && before.permit.expiresAt > act.at",
      "before?.permit !== undefined",
      "A permit that was meant for one afternoon would let keys be changed for ever.",
    ],
    [
      "enroll-keeps-permit",
      "once, and ends its sessions",
      "    permit: undefined,\n    revision: before.revision + 1,",
      "    revision: before.revision + 1,",
      "One permit would do for any number of boards.",
    ],
    [
      "enroll-keeps-sessions",
      "once, and ends its sessions",
      "  yield* ask(endSessions(after, sequence, at))\n  return after",
      "  return after",
      "Sessions by the old keys would go on.",
    ],
    [
      "change-any-revision",
      "S-04",
      "      checkRevision(before, revision)\n      const after",
      "      const after",
      "A decision on what is no longer so would be carried out.",
    ],
    [
      "remove-any-revision",
      "S-04",
      "      checkRevision(before, revision)\n      const gone",
      "      const gone",
      "A device would be deleted on the word of somebody who saw another one.",
    ],
    [
      "change-keeps-sessions",
      "keeps revocations in their order",
      "if (change.endsSessions === true)",
      "if (change.endsSessions !== true)",
      "Nobody would hear that a device was revoked.",
    ],
    [
      "remove-keeps-sessions",
      "forgets a device",
      "      yield* ask(endSessions(gone, sequence, act.at))\n",
      "",
      "Sessions of a deleted device would go on.",
    ],
    [
      "change-any-policy",
      "a change of what is not there",
      "      if (change.policy?.name !== undefined) yield* policyOf(tenant, change.policy.name)\n",
      "",
      "A device would be assigned what is not there, and told that the registry is broken.",
    ],
  ]),
  ...mutantsOf("src/store/device-state.ts", DEVICES, [
    [
      "state-any",
      "a device that was ",
      "change.state !== undefined && !NEXT[before.state].includes(change.state)",
      "change.state !== undefined && NEXT[before.state] === undefined",
      "A revoked device would come back.",
    ],
    [
      "state-final-keys",
      "device go, and no other's",
      "if (givesKeys && isFinal(state))",
      'if (givesKeys && state === "pending")',
      "A device that never comes back would get keys to come back with.",
    ],
    [
      "state-released",
      "device go, and no other's",
      "if (change.releaseKeys === true && !isFinal(state))",
      'if (change.releaseKeys === true && state === "pending")',
      "An active device would be left without a key that anybody could be held to.",
    ],
    [
      "state-keeps-permit",
      "K-04",
      "permit: isFinal(state) ? undefined : ",
      "permit: isFinal(before.state) ? undefined : ",
      "A permit would stand by a revoked device, for whoever makes it active in the database.",
    ],
  ]),
  ...mutantsOf("src/store/device-statements.ts", DEVICES, [
    [
      "insert-removed",
      "never gives its id again",
      "  if ((yield* rowOf(selectRemoved({ tenant, id }))) !== undefined) throw deviceExists()\n",
      "",
      "Records and sessions of a deleted device would be taken for another's.",
    ],
    [
      "insert-taken",
      "K-04",
      "if ((yield* changesOf(insertRow(deviceColumns(device)))) === 0) throw deviceExists()",
      "yield* changesOf(insertRow(deviceColumns(device)))",
      "Whoever enrolls a taken identity would be told that it is theirs.",
    ],
    [
      "replace-taken",
      "K-04",
      "throw isDuplicate(cause) ? deviceExists() : cause",
      "throw cause",
      "A taken key would be told as a registry that is broken.",
    ],
    [
      "label-stale",
      "in either order and direction",
      "    insertLabel({ tenant, device: id, key, value, created_at: createdAt.getTime() }),",
      "    insertLabel({ tenant, device: id, key, value, created_at: 0 * createdAt.getTime() }),",
      "Lists by label would leave devices out of pages.",
    ],
  ]),
  ...mutantsOf("src/store/device-row.ts", DEVICES, [
    [
      "device-digest",
      "S-03",
      'throw new Error("a device and its digest do not agree")',
      'text(row, "tenant")',
      "Whoever can write to the database could make a suspended device active.",
    ],
  ]),
  ...mutantsOf("src/store/device-digest.ts", DEVICES, [
    [
      "device-digest-nothing",
      "S-03",
      "    if (value === null) parts.push(NOTHING)\n    else parts",
      "    if (value !== null) parts",
      "What is gone from a row would not be missed.",
    ],
  ]),
  ...mutantsOf("src/store/device-import.ts", DEVICES, [
    [
      "import-other-keys",
      "K-04",
      "row === undefined || !hasKeys(deviceFrom(row), kept)",
      "row === undefined",
      "An import would pass over a device that has another's id, and say that all is well.",
    ],
    [
      "import-removed",
      "never gives its id again",
      "  if (gone !== undefined) throw taken(gone.position)\n",
      "",
      "An old export would bring a deleted device back.",
    ],
    [
      "import-any-policy",
      "K-04",
      "  for (const policy of policies) yield* policyOf(tenant, policy)\n",
      "",
      "A device would come with a policy that is not there.",
    ],
  ]),
  ...mutantsOf("src/store/enrollment-tokens.ts", DEVICES, [
    [
      "store-token-revoked",
      "G-11",
      '    .where("revoked", "=", 0)\n',
      "",
      "A revoked token would go on letting devices in.",
    ],
    [
      "store-token-expired",
      "G-11",
      '    .where("expires_at", ">", at("now"))\n',
      "",
      "A token would let devices in for ever.",
    ],
    [
      "store-token-used-up",
      "lets devices in by a token as often as it says",
      '    .whereRef("uses", "<", "uses_max")\n',
      "",
      "One more device than allowed would end in a registry that is broken.",
    ],
  ]),
  ...mutantsOf("src/store/administer.ts", ACTS, [
    [
      "act-unrecorded-revision",
      "moves the tenant's revision on",
      "      yield* moveOn(tenant)\n      written",
      "      written",
      "Other replicas would not hear that trust has changed.",
    ],
    [
      "act-journal-blamed",
      "S-07",
      '    } catch (cause) {\n      throw storeError("JOURNAL", cause)\n    }',
      '    } catch (cause) {\n      throw storeError("REGISTRY", cause)\n    }',
      "An operator would look for the fault in the wrong place.",
    ],
  ]),
  ...mutantsOf("src/store/result.ts", DEVICES, [
    [
      "result-rewound",
      "keeps the last result",
      "stored !== undefined && stored.at > ours.at",
      "stored === undefined",
      "A late answer would hide what the device did since.",
    ],
    [
      "result-any-session",
      "keeps the last result",
      "admitted && (before === undefined || before < ours.at)",
      "before === undefined || before < ours.at",
      "A device that is refused all the time would not count as silent.",
    ],
  ]),
  ...mutantsOf("src/store/policies.ts", ACTS, [
    [
      "policy-back",
      "P-06",
      '.doUpdateSet((set) => ({ revision: set("policies.revision", "+", 1) })),',
      '.doUpdateSet((set) => ({ revision: set("policies.revision", "+", 0) })),',
      "An older document could take the place of a newer one under its revision.",
    ],
    [
      "policy-any-tenant",
      "P-06",
      'policiesIn(builder).where("p.tenant", "=", at("tenant")).where("p.name"',
      'policiesIn(builder).where("p.tenant", "is not", null).where("p.name"',
      "One tenant's devices would be judged by another's policy.",
    ],
  ]),
  ...mutantsOf("src/store/journal-commit.ts", JOURNAL, [
    [
      "commit-any-trust",
      "trust from before",
      '(revisions.trust === undefined || integer(row, "trust_generation") === revisions.trust)',
      '(revisions.trust === undefined || integer(row, "trust_generation") >= 0)',
      "A session would rest on an anchor that was removed meanwhile.",
    ],
    [
      "commit-any-policy",
      "S-04",
      '  optional(integer, row, "policy_revision") === revisions.policy?.revision &&\n',
      "",
      "A session would rest on a policy that was made stricter meanwhile.",
    ],
    [
      "commit-any-device",
      "S-04",
      '  integer(row, "revision") === revisions.device &&\n',
      "",
      "A device would get a session that was suspended meanwhile.",
    ],
  ]),
  ...mutantsOf("src/store/postgres-database.ts", "test/store/postgres-races.test.ts", [
    [
      "writers-many",
      "keeps readers and other tenants' verifications going",
      "const WRITERS_MAX = 4\n",
      "const WRITERS_MAX = 1000\n",
      "A flood of enrollments would take every connection from whoever verifies.",
    ],
    [
      "decisions-behind",
      "keeps readers and other tenants' verifications going",
      "ahead ? writeAtLast(work) : turns.take",
      "ahead === undefined ? writeAtLast(work) : turns.take",
      "Verifications would wait behind changes of other tenants.",
    ],
  ]),
  ...mutantsOf("src/store/turns.ts", "test/store/turns.test.ts", [
    [
      "turns-forever",
      "refuses who would wait for longer",
      'reject(new Error("too many transactions wait for each other"))',
      'this.#waiting.push(() => reject(new Error("too many")))',
      "With the server away, calls would wait for minutes for each other's timeouts.",
    ],
    [
      "turns-lost",
      "goes on after one that failed",
      "      if (next === undefined) this.#free++\n      else next()",
      "      if (next === undefined) this.#free++",
      "After a few failures nobody could write any more.",
    ],
  ]),
]
