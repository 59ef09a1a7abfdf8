import { suite } from "uvu"
import * as assert from "uvu/assert"
import { readConfig } from "../src/config.ts"
import { throwsCode } from "./support/assert.ts"

const test = suite("readConfig")

test("gives defaults for everything that nobody set", () => {
  const config = readConfig({}, {}, undefined)
  assert.equal(config, {
    development: false,
    data: ".assay",
    workers: 1,
    web: { public: "127.0.0.1:7401", private: "127.0.0.1:7402" },
    key: { algorithm: "ES256" },
    deviceAuthority: { trustDomain: "assay.internal", lifetimeSeconds: 3600 },
    challenge: { lifetimeSeconds: 120, spentMax: 1_000_000 },
    enrollment: { approval: "automatic", lifetimeSeconds: 300 },
    store: { kind: "sqlite", schema: "assay", plaintext: false },
    engine: { schema: "assay_engine", plaintext: false },
    clock: { boundSeconds: 5 },
    journal: { checkpointRecords: 1000, checkpointSeconds: 60 },
    epoch: { lengthSeconds: 300 },
    devices: { silenceSeconds: 86_400 },
    trust: {
      refresh: { hosts: [], intervalSeconds: 300, timeoutSeconds: 10, maxBytes: 16_777_216 },
    },
    ear: { default: "2026", audiences: {} },
    credentials: [],
    clientCertificates: [],
    tokenIssuers: [],
    rates: {
      connection: { perSecond: 200, burst: 2000 },
      source: { perSecond: 20_000, burst: 40_000 },
      caller: { perSecond: 10_000, burst: 20_000 },
      device: { perSecond: 5, burst: 50 },
      challenge: { perSecond: 5000, burst: 10_000 },
      enrollee: { perSecond: 100, burst: 1000 },
      enrollment: { perSecond: 50, burst: 500 },
      guess: { perSecond: 1, burst: 20 },
      anyone: { perSecond: 100, burst: 500 },
      callsMax: 1024,
      streamsMax: 64,
      anyoneMax: 64,
    },
    limits: {
      connections: 4096,
      connectionsPerAddress: 1024,
      strangers: 128,
      strangerSeconds: 20,
      heldBytes: 134_217_728,
      heldBytesPerCaller: 33_554_432,
      running: 256,
      waiting: 4096,
      waitSeconds: 0.1,
      receiveSeconds: 10,
      callSeconds: 30,
    },
    reflection: true,
    logLevel: "info",
  })
  assert.equal(readConfig({}, {}, ""), config)
  assert.equal(readConfig({}, {}, "# nothing yet\n"), config)
})

const sources: readonly [
  name: string,
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string>>,
  document: string | undefined,
  expected: string,
][] = [
  ["the default", {}, {}, undefined, ".assay"],
  ["the file before the default", {}, {}, "data: file", "file"],
  ["the environment before the file", {}, { ASSAY_DATA: "env" }, "data: file", "env"],
  ["a flag before the environment", { data: "flag" }, { ASSAY_DATA: "env" }, "data: file", "flag"],
  ["a flag before the file", { data: "flag" }, {}, "data: file", "flag"],
  [
    "the environment where a flag was not given",
    { data: undefined },
    { ASSAY_DATA: "env" },
    undefined,
    "env",
  ],
  ["the file where a variable is empty", {}, { ASSAY_DATA: "" }, "data: file", "file"],
]
for (const [name, flags, environment, document, expected] of sources)
  test(`takes ${name}`, () => {
    assert.is(readConfig(flags, environment, document).data, expected)
  })

test("sets one member of a group and leaves the others as the file has them", () => {
  const document = "web: {public: '127.0.0.1:1', private: '127.0.0.1:2'}"
  const { web } = readConfig({ "web.public": "127.0.0.1:3" }, { ASSAY_WEB_PUBLIC: "127.0.0.1:4" }, document)
  assert.equal(web, { public: "127.0.0.1:3", private: "127.0.0.1:2" })
})

test("reads every variable of the environment, and none that is not its own", () => {
  const config = readConfig(
    {},
    {
      ASSAY_DEVELOPMENT: "1",
      ASSAY_DATA: "/data",
      ASSAY_LISTEN: "127.0.0.1:1,unix:/run/assay.sock",
      ASSAY_ADMIN: "unix:/run/admin.sock",
      ASSAY_WEB_PUBLIC: "127.0.0.1:2",
      ASSAY_WEB_PRIVATE: "127.0.0.1:3",
      ASSAY_ISSUER: "https://assay.example",
      ASSAY_KEY_FILE: "/key.pem",
      ASSAY_KEY_PASSPHRASE: "from the environment",
      ASSAY_KEY_PASSPHRASE_FILE: "/passphrase",
      ASSAY_ENGINE: "redis",
      ASSAY_ENGINE_URL: "redis://:secret@127.0.0.1",
      ASSAY_LOG_LEVEL: "warn",
      ASSAY_UNKNOWN: "ignored",
      PATH: "/usr/bin",
    },
    undefined,
  )
  assert.equal(config.listen, ["127.0.0.1:1", "unix:/run/assay.sock"])
  assert.equal(config.web, { public: "127.0.0.1:2", private: "127.0.0.1:3" })
  assert.equal(config.key, {
    algorithm: "ES256",
    file: "/key.pem",
    passphrase: "from the environment",
    passphraseFile: "/passphrase",
  })
  assert.is(config.engine.kind, "redis")
  assert.is(config.engine.url, "redis://:secret@127.0.0.1")
  const { development, data, admin, issuer, logLevel } = config
  assert.equal(
    [development, data, admin, issuer, logLevel],
    [true, "/data", "unix:/run/admin.sock", "https://assay.example", "warn"],
  )
})

test("reads a flag of the environment as 1, 0, true or false", () => {
  for (const [text, value] of [
    ["1", true],
    ["true", true],
    ["0", false],
    ["false", false],
  ] as const)
    assert.is(readConfig({}, { ASSAY_DEVELOPMENT: text }, "development: true").development, value)
})

test("reads JSON as well as YAML", () => {
  const settings = { reflection: false, ear: { default: "2023", audiences: { orders: "2026" } } }
  const { reflection, ear } = readConfig({}, {}, JSON.stringify(settings))
  assert.equal({ reflection, ear }, settings)
})

test("gives a configuration that no other call shares", () => {
  assert.is.not(readConfig({}, {}, undefined).web, readConfig({}, {}, undefined).web)
})

const ISSUER = "name: idp, issuer: https://a.example, audience: assay"
const refused: readonly [name: string, document: string, location: string][] = [
  ["an unknown name", "port: 7400", "port"],
  ["an unknown name in a group", "web: {admin: x}", "web.admin"],
  [
    "an unknown name in a list",
    "credentials: [{name: a, file: b, role: gateway, secret: c}]",
    "credentials.0.secret",
  ],
  ["a name with dots, as flags have it", "web.public: '127.0.0.1:1'", "web.public"],
  ["a merge key", "<<: {development: true}", "<<"],
  ["a prototype", "__proto__: {development: true}", "__proto__"],
  ["text for a flag", "development: 'true'", "development"],
  ["YAML 1.1's yes for a flag", "development: yes", "development"],
  ["a number for text", "data: 5", "data"],
  ["empty text", "data: ''", "data"],
  ["an empty list of addresses", "listen: []", "listen"],
  ["one address for a list", "listen: 127.0.0.1:1", "listen"],
  ["an empty address", "listen: ['']", "listen.0"],
  ["an empty group", "web:", "web"],
  ["a group that is text", "key: hunter2", "key"],
  ["an unknown algorithm", "key: {algorithm: RS256}", "key.algorithm"],
  ["a challenge of 4 seconds", "challenge: {lifetimeSeconds: 4}", "challenge.lifetimeSeconds"],
  ["a challenge of 601 seconds", "challenge: {lifetimeSeconds: 601}", "challenge.lifetimeSeconds"],
  ["a challenge of a fraction of seconds", "challenge: {lifetimeSeconds: 9.5}", "challenge.lifetimeSeconds"],
  ["a challenge of no number", "challenge: {lifetimeSeconds: .nan}", "challenge.lifetimeSeconds"],
  ["an enrollment of 29 seconds", "enrollment: {lifetimeSeconds: 29}", "enrollment.lifetimeSeconds"],
  ["an enrollment of 901 seconds", "enrollment: {lifetimeSeconds: 901}", "enrollment.lifetimeSeconds"],
  ["approval by nobody", "enrollment: {approval: never}", "enrollment.approval"],
  ["room for 999 spent challenges", "challenge: {spentMax: 999}", "challenge.spentMax"],
  ["an epoch over 5 minutes", "epoch: {lengthSeconds: 301}", "epoch.lengthSeconds"],
  ["an epoch under 10 seconds", "epoch: {lengthSeconds: 9}", "epoch.lengthSeconds"],
  ["an interval under 10 seconds", "trust: {refresh: {intervalSeconds: 9}}", "trust.refresh.intervalSeconds"],
  ["an interval over a day", "trust: {refresh: {intervalSeconds: 86401}}", "trust.refresh.intervalSeconds"],
  ["no time to load", "trust: {refresh: {timeoutSeconds: 0}}", "trust.refresh.timeoutSeconds"],
  ["too much time to load", "trust: {refresh: {timeoutSeconds: 61}}", "trust.refresh.timeoutSeconds"],
  ["no bytes to load", "trust: {refresh: {maxBytes: 0}}", "trust.refresh.maxBytes"],
  ["more bytes than a CRL has", "trust: {refresh: {maxBytes: 33554433}}", "trust.refresh.maxBytes"],
  ["one host for a list", "trust: {refresh: {hosts: pki.example}}", "trust.refresh.hosts"],
  ["an unknown form of results", "ear: {default: '2025'}", "ear.default"],
  ["an unknown form for an audience", "ear: {audiences: {orders: 2026}}", "ear.audiences.orders"],
  ["an issuer that is no URL", "issuer: assay", "issuer"],
  ["an issuer of another scheme", "issuer: 'javascript:alert(1)'", "issuer"],
  ["an issuer with a query", "issuer: 'https://assay.example/?a=b'", "issuer"],
  ["an issuer with a fragment", "issuer: 'https://assay.example/#a'", "issuer"],
  [
    "a credential's name in capitals",
    "credentials: [{name: Gateway, file: a, role: gateway}]",
    "credentials.0.name",
  ],
  ["a credential without a role", "credentials: [{name: a, file: b}]", "credentials.0.role"],
  [
    "a credential that makes a device",
    "credentials: [{name: a, file: b, role: device}]",
    "credentials.0.role",
  ],
  [
    "a credential of a tenant in capitals",
    "credentials: [{name: a, file: b, role: gateway, tenant: Acme}]",
    "credentials.0.tenant",
  ],
  [
    "a credential that begins with local:",
    "credentials: [{name: 'local:tcp', file: a, role: gateway}]",
    "credentials.0.name",
  ],
  ["a credential without its file", "credentials: [{name: gateway, role: gateway}]", "credentials.0.file"],
  [
    "two credentials of one name",
    "credentials: [{name: a, file: b, role: gateway}, {name: a, file: c, role: backend}]",
    "credentials",
  ],
  ["an address with TLS and no certificate", "listen: [{address: '0.0.0.0:1', tls: {key: a}}]", "listen.0"],
  ["an address with nothing beside it", "listen: [{address: '0.0.0.0:1'}]", "listen.0"],
  ["TLS for pages without a key", "web: {tls: {certificate: a}}", "web.tls.key"],
  [
    "a rule about certificates without a CA",
    "clientCertificates: [{name: a, role: gateway, id: spiffe}]",
    "clientCertificates.0.authority",
  ],
  [
    "a rule that makes devices",
    "clientCertificates: [{name: a, authority: b, role: device, id: spiffe}]",
    "clientCertificates.0.role",
  ],
  [
    "a rule about the subject's name",
    "clientCertificates: [{name: a, authority: b, role: gateway, id: cn}]",
    "clientCertificates.0.id",
  ],
  [
    "a rule about digests without any",
    "clientCertificates: [{name: a, authority: b, role: gateway, id: sha256}]",
    "clientCertificates.0.ids",
  ],
  [
    "a rule for a tenant with a path",
    "clientCertificates: [{name: a, authority: b, role: gateway, id: dns, tenant: a/b}]",
    "clientCertificates.0.tenant",
  ],
  [
    "two rules of one name",
    "clientCertificates: [{name: a, authority: b, role: gateway, id: dns}, {name: a, authority: c, role: backend, id: dns}]",
    "clientCertificates",
  ],
  ...[
    "Assay.internal",
    "assay internal",
    "spiffe://assay",
    "assay/x",
    "-assay",
    "assay..internal",
    "a".repeat(64),
  ].map((domain): [string, string, string] => [
    `the trust domain ${domain}`,
    `deviceAuthority: {trustDomain: '${domain}'}`,
    "deviceAuthority.trustDomain",
  ]),
  [
    "device certificates for longer than an hour",
    "deviceAuthority: {lifetimeSeconds: 3601}",
    "deviceAuthority.lifetimeSeconds",
  ],
  ["a rate of nothing", "rates: {caller: {perSecond: 0}}", "rates.caller.perSecond"],
  ["a rate without a burst", "rates: {challenge: {burst: 0}}", "rates.challenge.burst"],
  ["a rate that is unlimited", "rates: {source: {perSecond: .inf}}", "rates.source.perSecond"],
  ["no connections", "limits: {connections: 0}", "limits.connections"],
  ["calls without an end", "limits: {callSeconds: .inf}", "limits.callSeconds"],
  ["no room for one request", "limits: {heldBytesPerCaller: 1000}", "limits.heldBytesPerCaller"],
  ["no calls at a time", "rates: {callsMax: 0}", "rates.callsMax"],
  ["an issuer without keys", `tokenIssuers: [{${ISSUER}, role: gateway}]`, "tokenIssuers.0.keys"],
  ["an issuer without a role", `tokenIssuers: [{${ISSUER}, keys: k}]`, "tokenIssuers.0.role"],
  ["an issuer of devices", `tokenIssuers: [{${ISSUER}, keys: k, role: device}]`, "tokenIssuers.0.role"],
  [
    "a claim that makes devices",
    `tokenIssuers: [{${ISSUER}, keys: k, role: {claim: roles, values: {a: device}}}]`,
    "tokenIssuers.0.role",
  ],
  [
    "an issuer whose tokens are Assay's sessions",
    `tokenIssuers: [{${ISSUER}, keys: k, role: gateway, types: [assay-session+jwt]}]`,
    "tokenIssuers.0.types.0",
  ],
  [
    "tokens of more than a day",
    `tokenIssuers: [{${ISSUER}, keys: k, role: gateway, lifetimeSecondsMax: 86401}]`,
    "tokenIssuers.0.lifetimeSecondsMax",
  ],
  [
    "a clock that is off by minutes",
    `tokenIssuers: [{${ISSUER}, keys: k, role: gateway, clockToleranceSeconds: 61}]`,
    "tokenIssuers.0.clockToleranceSeconds",
  ],
  [
    "an issuer twice",
    `tokenIssuers: [{${ISSUER}, keys: k, role: gateway}, {${ISSUER.replace("idp", "b")}, keys: k, role: operator}]`,
    "tokenIssuers",
  ],
  ["an unknown log level", "logLevel: trace", "logLevel"],
]
for (const [name, document, location] of refused)
  test(`refuses ${name}, with the path ${location}`, () => {
    const error = throwsCode(() => readConfig({}, {}, document), "INPUT")
    assert.is(error.location, location)
    assert.ok(error.message.includes(location), "the message says where")
    assert.not.match(error.message, /\\u\{/)
  })

test("takes hosts in their one spelling, with or without a port", () => {
  const hosts = [
    "pki.example",
    "pki.example:8080",
    "pki.example:80",
    "10.0.0.1",
    "[::1]:8080",
    "xn--bcher-kva.example",
  ]
  assert.equal(
    readConfig({}, {}, JSON.stringify({ trust: { refresh: { hosts } } })).trust.refresh.hosts,
    hosts,
  )
})

for (const host of [
  "PKI.example",
  "http://pki.example",
  "pki.example/",
  "pki.example/crl",
  "user@pki.example",
  "pki.example?x",
  "pki.example#x",
  "pki.example:",
  "pki.example:99999",
  "pki example",
  " pki.example",
  "*.example",
  "bücher.example",
  "0x7f.1",
  "::1",
  "",
])
  test(`refuses ${JSON.stringify(host)} for a host`, () => {
    const document = JSON.stringify({ trust: { refresh: { hosts: [host] } } })
    assert.is(throwsCode(() => readConfig({}, {}, document), "INPUT").location, "trust.refresh.hosts.0")
  })

test("refuses a variable that is neither 1 nor 0, with its name", () => {
  for (const text of ["yes", "TRUE", "2", " 1"])
    assert.is(
      throwsCode(() => readConfig({}, { ASSAY_DEVELOPMENT: text }, undefined), "INPUT").location,
      "ASSAY_DEVELOPMENT",
    )
})

test("refuses a fault in the file even where a variable says otherwise", () => {
  for (const document of ["key: hunter2", "key:", "key: [a]"])
    assert.is(
      throwsCode(() => readConfig({}, { ASSAY_KEY_PASSPHRASE: "a passphrase" }, document), "INPUT").location,
      "key",
    )
})

const SECRET = "correct horse battery staple"
const faults: readonly [name: string, document: string][] = [
  ["a tab for indentation", `key:\n\tpassphrase: ${SECRET}`],
  ["a group that does not end", `key: {passphrase: ${SECRET}`],
  ["a name twice", `data: a\ndata: ${SECRET}`],
  ["two documents", `data: a\n---\ndata: ${SECRET}`],
  ["an alias", "data: &a b\nadmin: *a"],
  ["a tag that it does not know", `data: !secret ${SECRET}`],
  ["a list", `- ${SECRET}`],
  ["text", SECRET],
  ["JSON that is cut off", `{"data": "${SECRET}`],
]
for (const [name, document] of faults)
  test(`refuses a file with ${name}, and repeats nothing of it`, () => {
    const { location, message } = throwsCode(() => readConfig({}, {}, document), "INPUT")
    assert.is(location, "(configuration)")
    assert.not.ok(message.includes("horse"), message)
  })

test("refuses the passphrase in the file, wherever the key's other settings come from", () => {
  for (const environment of [{}, { ASSAY_KEY_PASSPHRASE: "another" }, { ASSAY_KEY_FILE: "/key.pem" }])
    for (const document of [
      `key: {passphrase: ${SECRET}}`,
      `{"key": {"passphrase": "${SECRET}"}}`,
      "key: {passphrase: }",
    ]) {
      const error = throwsCode(() => readConfig({}, environment, document), "INPUT")
      assert.is(error.location, "key.passphrase")
      assert.not.ok(error.message.includes("horse"))
    }
})

test("takes the passphrase's file from the file, for a path is no secret", () => {
  assert.is(readConfig({}, {}, "key: {passphraseFile: /run/secret}").key.passphraseFile, "/run/secret")
})

test.run()
