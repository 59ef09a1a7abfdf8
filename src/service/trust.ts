import { fromHex, toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { parseCertificate } from "../evidence/x509/certificate.ts"
import { nameText } from "../evidence/x509/name.ts"
import { actOf } from "./act.ts"
import { readCrl } from "./import-crls.ts"
import { createImportTrust, type ImportTrustInput, type TrustPorts } from "./import-trust.ts"
import type {
  Act,
  AnchorRecord,
  Breathe,
  Caller,
  CrlRecord,
  ImportedTrust,
  IntermediateRecord,
  ListedEk,
  PendingEntry,
  PendingIssuer,
  TrustState,
  TrustStore,
} from "./ports.ts"

/** An anchor, and what its certificate says. */
export interface AnchorView extends AnchorRecord {
  readonly subject: string
  readonly notBefore: Date
  readonly notAfter: Date
}

/** An intermediate, and what it says. */
export interface IntermediateView extends IntermediateRecord {
  readonly subject: string
  readonly issuer: string
  readonly notAfter: Date
}

/** Which part of a list: up to `max` of what comes behind `after`, in the order of the ids. */
export interface PageInput {
  /** From 1. */
  readonly max: number
  /** The last id of the page before, 64 hexadecimal digits; nothing for the first page. */
  readonly after: string | undefined
}

/** Part of a list. What is added or removed meanwhile moves nothing else from its page. */
export interface Page<T> {
  readonly items: readonly T[]
  /** The last id of this page; nothing if it is the last page. */
  readonly next: string | undefined
}

/** How much of everything a tenant's trust is made of. */
export interface TrustSummary extends TrustState {
  readonly pendingIssuers: number
}

/** A CRL, without its entries. */
export interface CrlView {
  readonly id: string
  readonly source: string
  readonly issuer: string
  readonly thisUpdate: Date
  readonly nextUpdate: Date | undefined
  /** Certificates that it names. */
  readonly entries: number
}

/**
 * The use cases of trust: of the caller's tenant, and of no other. An `id` is SHA-256 in lowercase hexadecimal, or the
 * beginning of one. Each throws REGISTRY, and for an id TRUST_NOT_FOUND, or INPUT if several begin with it; each change also
 * JOURNAL.
 */
export interface TrustUseCases {
  importTrust(input: ImportTrustInput, caller: Caller): Promise<ImportedTrust>
  /** Only those for exactly `purpose`, if there is one. */
  anchors(
    page: PageInput & { readonly purpose: AnchorRecord["purpose"] | undefined },
    caller: Caller,
  ): Promise<Page<AnchorView>>
  anchor(id: string, caller: Caller): Promise<AnchorView>
  intermediates(page: PageInput, caller: Caller): Promise<Page<IntermediateView>>
  crls(page: PageInput, caller: Caller): Promise<Page<CrlView>>
  /** The last page may be empty. No more than 1,000 at a time. */
  listedEks(page: PageInput, caller: Caller): Promise<Page<ListedEk>>
  /** Removes an anchor, an intermediate, a CRL or a listed key. */
  removeTrust(id: string, caller: Caller): Promise<{ readonly id: string; readonly generation: number }>
  /** The latest first. */
  pendingIssuers(caller: Caller): Promise<readonly PendingEntry[]>
  pendingIssuer(id: string, caller: Caller): Promise<PendingIssuer>
  dismissIssuer(id: string, caller: Caller): Promise<{ readonly id: string }>
  trustState(caller: Caller): Promise<TrustSummary>
}

/** The use cases over their ports. */
export const createTrustUseCases = (ports: TrustPorts): TrustUseCases => {
  const { breathe, trust: store } = ports
  /** An id is a digest of what it names: the record needs no other. */
  const actOn = (act: Act["act"], id: string, caller: Caller): Act =>
    actOf(ports, caller, act, digestFromId(id))
  const pendingId = async (beginning: string, { tenant }: Caller): Promise<string> =>
    only(beginning, await store.pendingIssuers(tenant)).id
  return {
    importTrust: createImportTrust(ports),
    anchors: async ({ purpose, ...part }, { tenant }) => {
      const { anchors } = await store.trust(tenant)
      const wanted = purpose === undefined ? anchors : anchors.filter((anchor) => anchor.purpose === purpose)
      return pageOf(wanted, part, viewAnchor)
    },
    anchor: async (id, { tenant }) => viewAnchor(only(id, (await store.trust(tenant)).anchors)),
    intermediates: async (part, { tenant }) =>
      pageOf((await store.trust(tenant)).intermediates, part, viewIntermediate),
    crls: async (part, { tenant }) =>
      pageOf((await store.trust(tenant)).crls, part, (crl) => viewCrl(crl, breathe)),
    listedEks: async ({ max, after }, { tenant }) => {
      const behind = after === undefined ? undefined : digestFromId(after)
      const items = await store.listedEks(tenant, behind, max)
      const last = items.at(-1)
      return { items, next: items.length === max && last !== undefined ? toHex(last.digest) : undefined }
    },
    removeTrust: async (beginning, caller) => {
      const id = await wholeId(store, caller.tenant, beginning)
      const act = actOn("remove-trust", id, caller)
      const { generation } = await store.removeTrust(caller.tenant, id, act)
      return { id, generation }
    },
    pendingIssuers: ({ tenant }) => store.pendingIssuers(tenant),
    pendingIssuer: async (beginning, caller) =>
      store.pendingIssuer(caller.tenant, await pendingId(beginning, caller)),
    dismissIssuer: async (beginning, caller) => {
      const id = await pendingId(beginning, caller)
      await store.dismissPending(caller.tenant, id, actOn("dismiss-issuer", id, caller))
      return { id }
    },
    trustState: async ({ tenant }) => ({
      ...(await store.trustState(tenant)),
      pendingIssuers: await store.countPending(tenant),
    }),
  }
}

const digestFromId = (id: string): Uint8Array => {
  const digest = fromHex(id)
  if (digest === undefined) throw new AssayError("INPUT", "not an id", { location: "id", actual: id })
  return digest
}

const viewAnchor = async (anchor: AnchorRecord): Promise<AnchorView> => {
  const { subject, notBefore, notAfter } = parseCertificate(anchor.certificate)
  return {
    ...anchor,
    subject: nameText(subject),
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
  }
}

const viewIntermediate = async (intermediate: IntermediateRecord): Promise<IntermediateView> => {
  const { subject, issuer, notAfter } = parseCertificate(intermediate.certificate)
  return {
    ...intermediate,
    subject: nameText(subject),
    issuer: nameText(issuer),
    notAfter: new Date(notAfter),
  }
}

const viewCrl = async ({ id, source, crl }: CrlRecord, breathe: Breathe): Promise<CrlView> => {
  const { issuer, thisUpdate, nextUpdate, revoked } = await readCrl(crl, breathe)
  return {
    id,
    source,
    issuer: nameText(issuer),
    thisUpdate: new Date(thisUpdate),
    nextUpdate: nextUpdate === undefined ? undefined : new Date(nextUpdate),
    entries: revoked.size,
  }
}

const pageOf = async <T extends { readonly id: string }, V>(
  items: readonly T[],
  { max, after = "" }: PageInput,
  view: (item: T) => Promise<V>,
): Promise<Page<V>> => {
  const rest = items.filter(({ id }) => id > after).toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const shown = rest.slice(0, max)
  const views: V[] = []
  for (const item of shown) views.push(await view(item))
  return { items: views, next: rest.length > max ? shown.at(-1)?.id : undefined }
}

const notFound = (id: string): AssayError =>
  new AssayError("TRUST_NOT_FOUND", `there is nothing with the id ${id}`, { location: "id" })

const notOne = (id: string): AssayError =>
  new AssayError("INPUT", `more than one id begins with ${id}`, {
    location: "id",
    expected: "more of its digits",
  })

/** The one item whose id is, or begins with, `beginning`. */
const only = <T extends { readonly id: string }>(beginning: string, items: readonly T[]): T => {
  const [found, another] = items.filter(({ id }) => id.startsWith(beginning))
  if (found === undefined) throw notFound(beginning)
  if (another !== undefined) throw notOne(beginning)
  return found
}

const ID_DIGITS = 64

/** A whole id is taken as it is: what the store cannot read any more can still be removed. */
const wholeId = async (store: TrustStore, tenant: string, beginning: string): Promise<string> => {
  if (beginning.length === ID_DIGITS) return beginning
  const { anchors, intermediates, crls } = await store.trust(tenant)
  const ids = [...anchors, ...intermediates, ...crls].map(({ id }) => id)
  const eks = await store.listedEks(tenant, lastBefore(beginning), 2)
  const all = new Set([...ids, ...eks.map(({ digest }) => toHex(digest))])
  return only(
    beginning,
    [...all].map((id) => ({ id })),
  ).id
}

/** The last digest before all that begin so; nothing if they are the first. */
const lastBefore = (beginning: string): Uint8Array | undefined => {
  const first = BigInt(`0x${beginning.padEnd(ID_DIGITS, "0")}`)
  return first === 0n ? undefined : fromHex((first - 1n).toString(16).padStart(ID_DIGITS, "0"))
}
