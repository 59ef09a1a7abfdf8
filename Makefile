# Everything runs on the pinned Node that npm brings along, whatever the system's own is.
ARCH := $(subst x86_64,x64,$(subst aarch64,arm64,$(shell uname -m)))
export PATH := $(CURDIR)/node_modules/node-linux-$(ARCH)/bin:$(CURDIR)/node_modules/.bin:$(PATH)
INSTALLED := node_modules/.package-lock.json
BUILT := dist/main.js

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

$(INSTALLED): package.json package-lock.json .npmrc
	@echo "Installing the pinned packages, half a minute the first time" >&2
	@npm ci --ignore-scripts --loglevel=error >&2
	@touch $@
	@node -e 'if (Number(process.versions.node.split(".")[0]) < 24) { console.error("Assay needs Node 24 or later; npm did not install one for $(ARCH)"); process.exit(1) }'

$(BUILT): $(INSTALLED) tsconfig.json tsconfig.build.json $(shell find src -name '*.ts')
	@echo "Building" >&2
	@rm -rf dist
	@tsc -p tsconfig.build.json

.PHONY: build
build: $(BUILT) ## Compile src/ to dist/

# To make, `-o json` names a file that it must not remake; to whoever types `make demo -o json`, it is an option of the demo.
TPM ?= software
OUTPUT ?= $(if $(findstring -ojson,$(subst -o json,-ojson,$(shell tr '\0' ' ' < /proc/$$PPID/cmdline))),json,table)

.PHONY: demo
demo: $(BUILT) ## Show the main job with a device (TPM=software or TPM=swtpm, OUTPUT=json)
	@bin/assay.js demo --tpm $(TPM) -o $(OUTPUT)

.PHONY: run
run: $(BUILT) ## Serve on loopback in development mode
	@bin/assay.js serve --development

.PHONY: test
test: $(BUILT) ## Run every test (or some: make test only="quote replay")
	@node test/run.ts $(only)

.PHONY: lint
lint: $(INSTALLED) ## Format, lint, types, buf lint, and whether src/gen is current
	@biome check --error-on-warnings .
	@tsc
	@buf lint proto
	@rm -rf .cache/gen && mkdir -p .cache && buf generate -o .cache/gen >/dev/null && diff -r .cache/gen/src/gen src/gen

.PHONY: check
check: lint test ## All of lint, then every test

.PHONY: format
format: $(INSTALLED) ## Format and sort imports
	@biome check --write .

.PHONY: generate
generate: $(INSTALLED) ## Generate src/gen/ from proto/
	@buf generate

.PHONY: mutants
mutants: $(BUILT) ## Remove one check at a time; a test must notice each
	@node test/mutants/run.ts $(only)

.PHONY: soak
soak: $(INSTALLED) ## Run the generated suites in full, from where it was (FRESH=1: anew)
	@node test/soak/run.ts $(if $(FRESH),--fresh) $(only)

.PHONY: test-faults
test-faults: $(BUILT) ## Crash, race and starve a server in every way there is a name for, and print what held
	@node test/faults/run.ts $(if $(filter json,$(OUTPUT)),--json)

.PHONY: conformance
conformance: $(INSTALLED) ## Run what every store has to pass on each, side by side
	@node test/store/conformance.ts

.PHONY: attacks
attacks: $(INSTALLED) ## Write docs/attacks.md from the tests
	@node test/attacks.ts

.PHONY: configuration
configuration: $(INSTALLED) ## Write docs/configuration.md from the schema of the settings
	@node test/configuration.ts

.PHONY: bench
bench: $(BUILT) ## Measure the figures that Assay has to reach (only="warm hot", only=all: those too that take long)
	@node loadtest/bench.ts -o $(OUTPUT) $(only)

GHZ_VERSION := v0.121.0
GHZ := $(or $(shell command -v ghz),.cache/bin/ghz)
.cache/bin/ghz:
	@echo "Building ghz $(GHZ_VERSION)" >&2
	@PATH="$$PATH:/usr/local/go/bin" GOBIN=$(CURDIR)/.cache/bin go install github.com/bojand/ghz/cmd/ghz@$(GHZ_VERSION)

.PHONY: loadtest
loadtest: $(BUILT) $(filter .cache/bin/ghz,$(GHZ)) ## Drive a release build with ghz, and compare both sides' counts (FLEET=100, CALLS=2000: less)
	@node loadtest/load.ts --ghz $(GHZ) --fleet $(or $(FLEET),1000) $(if $(CALLS),--calls $(CALLS)) -o $(OUTPUT) $(only)

.PHONY: latency
latency: $(BUILT) ## Plot latency over load, with challenges made live (FLEET=100, only="verify-challenge")
	@node loadtest/live.ts --fleet $(or $(FLEET),1000) $(only)

.PHONY: devices
devices: $(INSTALLED) ## Load a million devices, and time look-ups and pages (COUNT=20000: fewer)
	@node loadtest/devices.ts --devices $(or $(COUNT),1000000) -o $(OUTPUT)

.PHONY: coverage
coverage: $(BUILT) ## Run every test and print the lines that none reached
	@c8 --include 'src/**' --exclude 'src/gen/**' node test/run.ts

.PHONY: clean
clean: ## Remove what was built and what the server wrote
	@rm -rf dist coverage .assay
