/**
 * Who may call what: one table, and nothing without an entry in it is answered to anybody. Which records of its own tenant a
 * caller may see is the service's to decide, which is told whether the caller is a device (`Caller.own`).
 */
import { AssayError } from "../errors.ts"
import type { Caller } from "../service/ports.ts"

/** What a caller is. Its identity says so, never its request. */
export const ROLES = ["device", "gateway", "backend", "operator", "auditor"] as const

export type Role = (typeof ROLES)[number]

/** A caller whose identity has been proven. */
export interface Principal extends Caller {
  readonly role: Role
}

/**
 * A device that holds no more than an enrollment token has no certificate yet: it may enroll, and attest one by one to be given
 * one. The service sees to it that it speaks for devices of that token alone.
 */
type Standing = Role | "enrollee"

/** `anyone`: known or unknown. */
type Allowed = "anyone" | readonly Standing[]

const ATTESTING: Allowed = ["gateway", "backend", "device"]
const JOINING: Allowed = ["gateway", "backend", "device", "enrollee"]
const ENROLLING: Allowed = ["gateway", "enrollee"]
const ADMINISTERING: Allowed = ["operator"]
const READING: Allowed = ["operator", "auditor"]

/** Everything that callers may ask for, by full name. */
const METHODS: Readonly<Record<string, Allowed>> = {
  "grpc.health.v1.Health/Check": "anyone",
  "grpc.health.v1.Health/List": "anyone",
  "grpc.health.v1.Health/Watch": "anyone",
  "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": "anyone",
  "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": "anyone",

  "assay.v1.AttestationService/CreateChallenge": JOINING,
  "assay.v1.AttestationService/Verify": JOINING,
  "assay.v1.AttestationService/VerifyStream": ATTESTING,
  "assay.v1.AttestationService/GetEpoch": ATTESTING,

  "assay.v1.EnrollmentService/BeginEnrollment": ENROLLING,
  "assay.v1.EnrollmentService/CompleteEnrollment": ENROLLING,

  "assay.v1.DeviceService/RegisterDevice": ADMINISTERING,
  "assay.v1.DeviceService/GetDevice": READING,
  "assay.v1.DeviceService/ListDevices": READING,
  "assay.v1.DeviceService/UpdateDevice": ADMINISTERING,
  "assay.v1.DeviceService/ApproveDevice": ADMINISTERING,
  "assay.v1.DeviceService/SuspendDevice": ADMINISTERING,
  "assay.v1.DeviceService/ResumeDevice": ADMINISTERING,
  "assay.v1.DeviceService/RevokeDevice": ADMINISTERING,
  "assay.v1.DeviceService/RetireDevice": ADMINISTERING,
  "assay.v1.DeviceService/DeleteDevice": ADMINISTERING,
  "assay.v1.DeviceService/PermitEnrollment": ADMINISTERING,
  "assay.v1.DeviceService/TransferDevice": ADMINISTERING,
  "assay.v1.DeviceService/AcceptFirmware": ADMINISTERING,
  "assay.v1.DeviceService/ImportDevices": ADMINISTERING,
  "assay.v1.DeviceService/ExportDevices": READING,

  "assay.v1.EnrollmentTokenService/CreateEnrollmentToken": ADMINISTERING,
  "assay.v1.EnrollmentTokenService/ListEnrollmentTokens": READING,
  "assay.v1.EnrollmentTokenService/RevokeEnrollmentToken": ADMINISTERING,

  "assay.v1.PolicyService/SetPolicy": ADMINISTERING,
  "assay.v1.PolicyService/AssignPolicy": ADMINISTERING,
  "assay.v1.PolicyService/GetPolicy": READING,

  "assay.v1.TrustService/ImportTrust": ADMINISTERING,
  "assay.v1.TrustService/ListAnchors": READING,
  "assay.v1.TrustService/GetAnchor": READING,
  "assay.v1.TrustService/ListIntermediates": READING,
  "assay.v1.TrustService/ListCrls": READING,
  "assay.v1.TrustService/ListEks": READING,
  "assay.v1.TrustService/RemoveTrust": ADMINISTERING,
  "assay.v1.TrustService/ListPendingIssuers": READING,
  "assay.v1.TrustService/GetPendingIssuer": READING,
  "assay.v1.TrustService/DismissPendingIssuer": ADMINISTERING,
  "assay.v1.TrustService/GetTrustState": READING,

  "assay.v1.JournalService/ListRecords": READING,
  "assay.v1.JournalService/WatchRecords": READING,
  "assay.v1.JournalService/GetHeads": READING,
  "assay.v1.JournalService/ExportJournal": READING,
  "assay.v1.JournalService/PruneJournal": ADMINISTERING,
}

// Not looked up in the object: every object has a member named constructor.
const TABLE: ReadonlyMap<string, Allowed> = new Map(Object.entries(METHODS))

/** The full names of all methods with an entry, `package.Service/Method`. */
export const methodsWithEntry = (): readonly string[] => [...TABLE.keys()]

/** Whether `method` (`package.Service/Method`) is answered to callers that nobody knows. */
export const isOpenToAll = (method: string): boolean => TABLE.get(method) === "anyone"

/**
 * Lets a call through if the table says that its caller may make it.
 *
 * @param method `package.Service/Method`.
 * @throws {AssayError} PERMISSION, with the method and the caller's role.
 */
export function authorize(method: string, principal: Principal): void {
  const allowed = TABLE.get(method)
  if (allowed === "anyone") return
  const standing: Standing = principal.own?.kind === "enrollment" ? "enrollee" : principal.role
  if (allowed?.includes(standing)) return
  const called = calledOf(standing)
  throw new AssayError("PERMISSION", `${method} is not for the role ${called}`, {
    location: method,
    expected: allowed === undefined ? "a method that somebody may call" : allowed.map(calledOf).join(", "),
    actual: called,
  })
}

/** As docs/callers.md says it. */
const calledOf = (standing: Standing): string =>
  standing === "enrollee" ? "device with an enrollment token" : standing
