/** The one place where the parts meet. */
import { readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { setImmediate, setTimeout as sleep } from "node:timers/promises"
import { type Logger, pino } from "pino"
import { utf8 } from "./bytes.ts"
import { cachedCompile } from "./cache/compile.ts"
import { cachedLoadTrust } from "./cache/trust.ts"
import { addAgent } from "./cli/agent.ts"
import type { AgentDevice, AgentSettings } from "./cli/agent-tpm.ts"
import { addConfig } from "./cli/check-config.ts"
import { addDemo } from "./cli/demo.ts"
import { type CliParts, processIo } from "./cli/parts.ts"
import { runCli } from "./cli/program.ts"
import { addInit, addServe, type InitFiles, type Running } from "./cli/serve.ts"
import { createAdminClient } from "./client/admin.ts"
import { createAttestationClient } from "./client/attestation.ts"
import { createEnrollmentClient } from "./client/enrollment.ts"
import { verifySessionToken } from "./client/session.ts"
import type { Config } from "./config.ts"
import { createAgent, LINUX_EVENT_LOG } from "./device/agent.ts"
import { enrollmentParts } from "./device/enrollment.ts"
import { softwareMachine, swtpmMachine } from "./device/machine.ts"
import { pcrFile } from "./device/pcrfile.ts"
import { startVirtualDevice } from "./device/virtual.ts"
import { certificatePem } from "./evidence/x509/certificate.ts"
import { faultAt, withFaults } from "./faults.ts"
import { verifyCompactBy } from "./jwt/compact.ts"
import { createDeviceAuthority } from "./keys/device-authority.ts"
import { createPrivateFile, readPrivateFile } from "./keys/privatefile.ts"
import { createRandom } from "./keys/random.ts"
import { createSigner } from "./keys/signer.ts"
import { hostAndPort } from "./loopback.ts"
import {
  certificateRules,
  deviceCallers,
  enrollmentTokens,
  localCallers,
  readCredential,
  tokenRules,
} from "./main/callers.ts"
import { checkConfig } from "./main/check.ts"
import { openAgreement } from "./main/engine.ts"
import { deviceCa, keyFiles, makeDeviceCa, makeSigningKey, passphrase, signingKey } from "./main/keys.ts"
import { adminOf, listenersOf } from "./main/listeners.ts"
import { servePrivate, servePublic } from "./main/web.ts"
import { createServer } from "./server/server.ts"
import { createCheckpointJournal } from "./service/checkpoint-journal.ts"
import { compile } from "./service/compile.ts"
import { type DevelopmentPorts, distrustSoftwareMakers, trustSoftwareMaker } from "./service/development.ts"
import { createLoadTrust } from "./service/load-trust.ts"
import { observed } from "./service/observed.ts"
import { createParseTrust } from "./service/parse-trust.ts"
import type { Clock, Pause, Ports, Random, TrustStore } from "./service/ports.ts"
import { createRefresh } from "./service/refresh.ts"
import { createService } from "./service/service.ts"
import { createCheckpointer } from "./store/checkpointer.ts"
import { createEpochs } from "./store/epochs.ts"
import type { Store } from "./store/store.ts"
import { type Advisories, advisoriesFor, parseAdvisories } from "./verification/advisory.ts"
import { type DeniedKeys, parseDeniedKeys } from "./verification/weak-key.ts"
import { createFetch } from "./web/fetch.ts"
import { createMetrics } from "./web/metrics.ts"
import { createPrivateApp } from "./web/private.ts"
import { createPublicApp } from "./web/public.ts"
import { createRefresher } from "./web/refresher.ts"

export const VERSION = "0.1.0"

const CONTEXTS_MAX = 10_000
const TENANTS_MAX = 100
/** The one tenant that there is until there are more. */
const TENANT = "default"
/** Where development mode keeps the maker of software TPMs, in the data folder. */
const SOFTWARE_MAKER = "software-tpm-maker.pem"

/** A list that is shipped with Assay; `data/README.md` says what each has. */
const readData = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../data/${name}`, import.meta.url), "utf8"))
const deniedKeys = (): DeniedKeys => parseDeniedKeys(readData("denied-keys.json"))
const advisories = (): Advisories => parseAdvisories(readData("tpm-advisories.json"))

/**
 * Starts a server on embedded defaults: every port of the service gets its adapter here.
 *
 * @throws {AssayError} INPUT, SIGNER, RNG, REGISTRY: nothing is left running then.
 */
export async function start(config: Config, log: Logger): Promise<Running> {
  const folder = resolve(config.data)
  const clock: Clock = { now: () => new Date() }
  const random = createRandom()
  const cleanup: (() => void | Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const close of cleanup.splice(0).reverse()) await close()
  }
  try {
    const store = await openStore(folder)
    cleanup.push(() => store.close())
    const secret = passphrase(config, folder, random)
    const signer = createSigner(signingKey(config, folder, secret, { clock, random }), clock)
    cleanup.push(() => signer.close())
    await prepareTrust(config, folder, { clock, trust: store.trust }, { random, log })
    const { denied, known, loader, trusts, refresh, refresher } = trustParts(config, store, {
      clock,
      random,
      log,
    })
    const authority = await deviceCa(config, folder, secret, { clock, random })
    const agreement = await openAgreement(config, { store, random, clock, passphrase: () => secret })
    cleanup.push(() => agreement.close())
    const { engine, confirm } = agreement
    const contexts = cachedCompile(compile, { max: CONTEXTS_MAX })
    // Not looked up in the object: every object has a member named constructor.
    const earForms = new Map(Object.entries(config.ear.audiences))
    const settings = {
      issuer: config.issuer ?? "",
      build: VERSION,
      challengeLifetimeMs: config.challenge.lifetimeSeconds * 1000,
      enrollment: {
        approval: config.enrollment.approval,
        lifetimeMs: config.enrollment.lifetimeSeconds * 1000,
      },
      silenceMs: config.devices.silenceSeconds * 1000,
      earForm: (audience: string) => earForms.get(audience) ?? config.ear.default,
    }
    const checkpointer = createCheckpointer({
      checkpoint: createCheckpointJournal({ archive: store.archive, clock, signer, settings }),
      tenants: [TENANT],
      due: {
        records: config.journal.checkpointRecords,
        ms: config.journal.checkpointSeconds * 1000,
      },
      failed: (tenant, error) =>
        log.error({ tenant, err: error }, "could not make a checkpoint of the journal"),
    })
    // After everything that writes has stopped, and before what it needs has.
    cleanup.push(() => checkpointer.stop())
    const metrics = createMetrics({
      challenges: () => engine.counts(),
      caches: () => [
        { name: "context", hits: contexts.hits, misses: contexts.misses, entries: contexts.size },
        { name: "trust", hits: trusts.hits, misses: trusts.misses, entries: trusts.size },
      ],
      trust: () => refresher.counts(),
      checkpoints: () => checkpointer.counts(),
    })
    const service = observed(
      createService(
        faulty(config, log, {
          clock,
          random,
          breathe,
          pause,
          registry: store.registry,
          devices: store.devices,
          trust: store.trust,
          loadTrust: trusts.loadTrust,
          want: refresh.want,
          denied,
          advisoriesFor: (tpm) => advisoriesFor(known, tpm),
          journal: store.journal,
          confirm,
          archive: store.archive,
          singleUse: engine.singleUse,
          epochs: createEpochs(engine.epochKey, { lengthMs: config.epoch.lengthSeconds * 1000 }),
          signer,
          deviceAuthority: createDeviceAuthority(authority, {
            random,
            lifetimeMs: config.deviceAuthority.lifetimeSeconds * 1000,
          }),
          compile: contexts.compile,
          settings,
        }),
      ),
      metrics,
    )

    const watched: (() => string | readonly string[])[] = []
    const reasons = async (): Promise<string[]> =>
      [
        signer.unready(),
        random.unready(),
        ...agreement.unready(),
        await store.unready(),
        loader.unready(),
        await withoutAnchors(store.trust),
        ...refresher.unready(),
        checkpointer.unready(),
        ...watched.flatMap((unready) => unready()),
      ].flatMap((reason) => reason ?? [])
    refresher.start()
    cleanup.push(() => refresher.stop())
    const { host } = hostAndPort(config.web.private) ?? { host: "" }
    const privateWeb = await servePrivate(
      config,
      createPrivateApp({ metrics: metrics.registry, live: () => [], ready: reasons, host }),
    )
    cleanup.push(() => privateWeb.close())
    const publicApp = createPublicApp({
      issuer: () => settings.issuer,
      jwks: () => signer.publicJwks(),
      deviceCa: () => certificatePem(authority.certificate.bytes),
      epoch: async () => {
        const { epoch, token } = await service.epoch({ tenant: "default", id: "web" })
        return { ...epoch, token }
      },
    })
    const publicWeb = await servePublic(config, publicApp, log)
    cleanup.push(() => publicWeb.close())
    watched.push(() => publicWeb.unready() ?? [])
    settings.issuer ||= publicWeb.url
    checkpointer.start()

    const credentials = localCallers(config, folder)
    const admin = adminOf(config, folder)
    const server = createServer({
      service,
      log,
      listen: listenersOf(config, folder),
      admin,
      credentials: credentials.map((caller) => readCredential(config, caller, random)),
      clientCertificates: certificateRules(config),
      tokenIssuers: tokenRules(config),
      deviceAuthority: deviceCallers(authority),
      enrollmentToken: enrollmentTokens(store.devices, clock),
      denied,
      rates: config.rates,
      reflection: config.reflection,
      development: config.development,
      ...(config.anonymous !== undefined && { anonymous: config.anonymous }),
      observe: metrics.called,
      refused: metrics.refused,
    })
    watched.push(() => server.unready())
    const addresses = await server.start()
    cleanup.push(() => server.stop())
    return {
      listen: addresses.slice(0, -1),
      admin,
      publicUrl: publicWeb.url,
      privateUrl: privateWeb.url,
      issuer: settings.issuer,
      credentials: Object.fromEntries(credentials.map(({ name, file }) => [name, file])),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Loaded only here: what builds its statements costs every other command its time. */
const openStore = async (folder: string): Promise<Store> => {
  const { openSqliteStore } = await import("./store/sqlite.ts")
  return openSqliteStore(join(folder, "assay.db"))
}

/** The ports as they are, or with the one fault that a test of crashes asks for. */
const faulty = ({ fault }: Config, log: Logger, ports: Ports): Ports =>
  fault === undefined
    ? ports
    : withFaults(
        ports,
        faultAt(fault, (point) => log.info({ point }, "fault point")),
      )

const breathe = (): Promise<void> => setImmediate()

const pause: Pause = (ms, signal) => sleep(ms, undefined, { signal, ref: false }).catch(() => undefined)

/** What is made of a tenant's trust: loaded, remembered, and kept current. */
const trustParts = (
  config: Config,
  { trust: store }: Pick<Ports, "trust">,
  { clock, random, log }: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
) => {
  const denied = deniedKeys()
  // One parser for both, so that a CRL is held once.
  const parse = createParseTrust(breathe)
  const loader = createLoadTrust({ store, parse, denied, clock })
  const { hosts, intervalSeconds, timeoutSeconds, maxBytes } = config.trust.refresh
  const refresh = createRefresh({
    store,
    parse,
    fetch: createFetch({ hosts, maxBytes, timeoutMs: timeoutSeconds * 1000 }),
    denied,
    clock,
    breathe,
    jitter: () => (random.bytes(1)[0] ?? 0) / 255,
    hosts,
  })
  const refresher = createRefresher({
    refresh,
    tenants: [TENANT],
    clock,
    intervalMs: intervalSeconds * 1000,
    observe: {
      passed: ({ tenant, outcomes }) => {
        if (outcomes.changed + outcomes.failed > 0) log.info({ tenant, ...outcomes }, "refreshed trust")
      },
      failed: (tenant, error) => log.error({ tenant, err: error }, "could not refresh trust"),
    },
  })
  const trusts = cachedLoadTrust(loader.loadTrust, { max: TENANTS_MAX })
  return { denied, known: advisories(), loader, trusts, refresh, refresher }
}

/** Why a server that trusts nobody is not ready. */
const withoutAnchors = async (trust: TrustStore): Promise<string | undefined> => {
  const { anchors } = await trust.trustState(TENANT)
  return anchors === 0 ? "no trust anchor is installed: import one with `assay trust import`" : undefined
}

/**
 * In development mode, makes a maker of software TPMs and trusts it, the first time. Outside of it, takes that trust away.
 */
const prepareTrust = async (
  { development }: Config,
  folder: string,
  ports: DevelopmentPorts,
  { random, log }: { readonly random: Random; readonly log: Logger },
): Promise<void> => {
  const file = join(folder, SOFTWARE_MAKER)
  if (!development) {
    const removed = await distrustSoftwareMakers(ports, TENANT, readPrivateFile(file))
    if (removed > 0) log.warn({ removed }, "removed trust anchors of development mode")
    return
  }
  if (readPrivateFile(file) !== undefined) return
  // Loaded only here: the certificate library costs every other start its time.
  const { createTpmMaker, writeTpmMaker } = await import("./device/ek.ts")
  const pem = utf8(await writeTpmMaker(await createTpmMaker()))
  if (createPrivateFile(file, pem, random)) await trustSoftwareMaker(ports, TENANT, pem)
}

/** Nothing logs these. Should anything ever, they are not shown. */
const NEVER_LOGGED = ["token", "challenge", "nonce", "credential", "passphrase"]

/** Logs as JSON lines on stdout, without anything that could be presented. */
export const createLog = (level: Config["logLevel"]): Logger =>
  pino(
    { level, redact: NEVER_LOGGED.flatMap((name) => [name, `*.${name}`]) },
    pino.destination({ sync: true }),
  )

/** Makes the signing key and the device CA of a server outside development mode, unless they are there. */
const init = async (config: Config): Promise<InitFiles> => {
  const folder = resolve(config.data)
  const random = createRandom()
  const making = { clock: { now: () => new Date() }, random }
  const secret = passphrase(config, folder, random)
  await (await openStore(folder)).close()
  makeSigningKey(config, folder, secret, making)
  await makeDeviceCa(config, folder, secret, making)
  return keyFiles(config, folder)
}

const stopped = (): Promise<string> =>
  new Promise((told) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => told(signal))
  })

/** The device of the agent's commands: with this machine's TPM, or with one in software. */
const agentDevice = async ({ swtpm, ...settings }: AgentSettings): Promise<AgentDevice> => {
  if (swtpm === undefined) return { ...(await createAgent(settings)), stop: async () => {} }
  const pem = readPrivateFile(resolve(swtpm.maker))
  const { attester, stop } = await startVirtualDevice({
    folder: swtpm.folder,
    maker: pem === undefined ? undefined : new TextDecoder().decode(pem),
    algorithm: settings.algorithm,
  })
  return { ...attester, stop }
}

/** What the command line is given. */
export const parts: CliParts = {
  version: VERSION,
  adminClient: createAdminClient,
  verifySessionToken,
  verifyJws: verifyCompactBy,
  commands: [
    addServe({ start, createLog, init, stopped }),
    addInit({ init }),
    addConfig({ check: checkConfig }),
    addAgent({
      agent: agentDevice,
      gateway: createAttestationClient,
      enrollment: createEnrollmentClient,
      enrollmentParts,
      eventLogPath: LINUX_EVENT_LOG,
    }),
    addDemo({
      start,
      createLog,
      machine: async (kind, folder) =>
        kind === "swtpm"
          ? swtpmMachine()
          : softwareMachine(new TextDecoder().decode(readPrivateFile(join(folder, SOFTWARE_MAKER)))),
      gateway: (address, credentialFile) =>
        createAttestationClient(address, { credential: readFileSync(credentialFile, "utf8").trim() }),
      pcrFile,
    }),
  ],
}

/** Runs one command line. Gives the exit status. */
export const main = (argv: readonly string[]): Promise<number> => runCli(argv, parts, processIo())
