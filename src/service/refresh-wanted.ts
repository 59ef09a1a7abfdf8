import { LRUCache } from "lru-cache"
import type { Certificate } from "../evidence/x509/certificate.ts"
import { inTurns } from "./refresh-schedule.ts"
import { namedUrls, type Wanted } from "./refresh-sources.ts"

/** What is noted for a tenant: names of different issuers, or with different URLs. */
const NAMES_MAX = 256
/** Of a chain, as many certificates as paths are long. */
const CHAIN_MAX = 12
/** What may be noted for one device: it has two chains, and those of TPM makers have three or four certificates. */
const SHARE_MAX = 8
/** Certificates that are noted for one name: all devices of a maker have the same. */
const NOTED_MAX = 3

interface Entry {
  /** Counts up: what was noted first comes first. */
  readonly order: number
  /** Of different devices. It counts for the share of the first one. */
  readonly noted: Wanted[]
}

/**
 * What chains that were shown name, for one tenant. A device may show whatever it likes, and a new chain each time: so each
 * has a share and no more, in the list and in the turns, and takes nobody's place by naming the same.
 */
export class WantedList {
  readonly #hosts: ReadonlySet<string>
  readonly #entries = new LRUCache<string, Entry>({ max: NAMES_MAX })
  // Devices attest again and again with the same certificates: what they name is looked up once.
  readonly #names = new WeakMap<Certificate, string | undefined>()
  #count = 0

  constructor(hosts: ReadonlySet<string>) {
    this.#hosts = hosts
  }

  /** Notes the certificates of a device's chain that name anything. Cheap: it is called during requests. */
  note(chain: readonly Certificate[], share: string): void {
    const shown = chain.slice(0, CHAIN_MAX)
    for (const certificate of shown) {
      const name = this.#nameOf(certificate)
      if (name !== undefined) this.#add(name, { certificate, shown, share })
    }
  }

  /** All of it, in turns. */
  all(): readonly Wanted[] {
    const entries = [...this.#entries.values()].toSorted((a, b) => a.order - b.order)
    return inTurns(entries, shareOf).flatMap(({ noted }) => noted)
  }

  #nameOf(certificate: Certificate): string | undefined {
    if (this.#names.has(certificate)) return this.#names.get(certificate)
    const { crl, certificates } = namedUrls(certificate, this.#hosts)
    const namesNothing = crl.length + certificates.length === 0
    const name = namesNothing ? undefined : JSON.stringify([certificate.issuer.key, crl, certificates])
    this.#names.set(certificate, name)
    return name
  }

  #add(name: string, wanted: Wanted): void {
    const { noted } = this.#entries.get(name) ?? {}
    if (noted === undefined) {
      // From the most lately used to the least.
      const own = [...this.#entries].filter(([, entry]) => shareOf(entry) === wanted.share)
      for (const [last] of own.slice(SHARE_MAX - 1)) this.#entries.delete(last)
      this.#entries.set(name, { order: this.#count++, noted: [wanted] })
      return
    }
    // The first ones stay, and the last place changes hands.
    const before = noted.findIndex(({ share }) => share === wanted.share)
    noted[before >= 0 ? before : Math.min(noted.length, NOTED_MAX - 1)] = wanted
  }
}

const shareOf = ({ noted }: Entry): string => noted[0]?.share ?? ""
