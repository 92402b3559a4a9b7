# make help lists what can be made: the text behind ## of each target.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
MODULE  := $(shell sed -n 's/^module //p' go.mod)
LDFLAGS  = -s -w -X $(MODULE)/internal/cli.version=$(VERSION)
DIST    ?= dist
GENERATED ?= .
TARGETS ?= linux-amd64 linux-arm64 linux-armv6 linux-armv7 linux-mipsle linux-riscv64 \
           darwin-arm64 darwin-amd64 windows-amd64 freebsd-amd64

# Tools of the developers, not of the program: pinned here, so that go.mod has only what the program needs.
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT   = $(GO) run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

.DEFAULT_GOAL = build

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## both programs into bin/; make alone does the same
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: demo
demo: build ## a server, a node and a web site on this machine, until Ctrl-C; ONCE=1 fetches the page once and says whether it came
	$(GO) build -buildvcs=false -o bin/ ./internal/cmd/demo
	@ONCE=$(ONCE) bin/demo

# The race detector needs a C compiler (not on macOS); a machine without one runs the same tests without it.
RACE ?= $(shell command -v $$($(GO) env CC) >/dev/null 2>&1 && echo -race)

# What the race detector distorts, or makes so slow that it does less under it (internal/testrace).
WHOLE = (TestLossyThroughput|TestIsolation|TestIdleRelaysHoldNoBuffers|TestIdleTraffic|TestLanes|TestLossyTransfers|TestOutagesInARow|TestRelayWhileMoving)

.PHONY: test
test: ## every test: unit, race detector, fuzz seeds, end to end with the real programs
	@test -n "$(RACE)" || echo "no C compiler here: the tests run without the race detector"
	$(GO) test -count=1 $(RACE) -timeout 20m $$($(GO) list ./... | grep -v /e2e/hostile) # e2e builds the programs itself, so a cached result would be of older ones
	$(GO) test -count=1 -timeout 10m ./e2e/hostile # alone: they measure memory and a neighbour's time
	$(GO) test -count=1 -run '^$(WHOLE)$$' ./quicproxy ./quicproxy/internal/relay

# Installs nothing and leaves nothing behind; says what is missing. Not under the race detector: it measures time.
.PHONY: test-net
test-net: ## what relays survive when the network changes, in network namespaces; root on Linux; TRIES=10 takes the median of an outage of 5 s instead
	APQUIC_TEST_NET=1 APQUIC_TEST_NET_TRIES=$(TRIES) \
	  $(GO) test -count=1 -v -timeout 10m -parallel 6 $(if $(TRIES),-run '^TestOutageMedian$$') ./e2e/netns

.PHONY: fuzz
fuzz: ## every decoder with inputs that nobody thought of, FUZZTIME=30s each
	@FUZZTIME='$(FUZZTIME)' .ci/fuzz

# The share of statements that the tests of each package run, without generated code.
.PHONY: cover
cover: ## how much of each package its tests run
	@$(GO) test -coverprofile=cover.out ./certs ./framing ./internal/cli ./internal/settings ./internal/testnet ./lease/... ./quicproxy >/dev/null
	@awk '/^mode:|\.pb\.go:/ {next} {sub("/[^/]*:", " "); all[$$1] += $$3; if ($$4) hit[$$1] += $$3} \
	  END {for (p in all) printf "%-24s %5.1f %%\n", p, 100*hit[p]/all[p]}' cover.out | sort

.PHONY: bench
bench: build ## the programs measured, into docs/benchmarks.md: RUNS=6 times, with PEERS=dir of other tunnels, BEFORE=dir of another version; ONLY= or WHO=regexp only prints
	$(GO) build -buildvcs=false -o bin/ ./internal/cmd/bench ./internal/cmd/testlink
	bin/bench --runs $(or $(RUNS),6) $(if $(PEERS),--peers '$(PEERS)') $(if $(BEFORE),--before '$(BEFORE)') $(if $(ONLY),--only '$(ONLY)') \
	  $(if $(WHO),--who '$(WHO)') $(if $(ONLY)$(WHO),,--write docs/benchmarks.md)

.PHONY: bench-scale
bench-scale: build ## one server with NODES=1000 nodes
	$(GO) build -buildvcs=false -o bin/ ./internal/cmd/bench
	bin/bench nodes --count $(or $(NODES),1000)

# What was measured stays in bench.out: kept under another name, it is the BEFORE of the next change.
BENCHMARKED = ./internal/udp ./quicproxy/...

.PHONY: bench-go
bench-go: ## the benchmarks among the tests, COUNT=6 times, with benchstat; BEFORE=old.out compares, ONLY=regexp selects
	$(GO) test -run '^$$' -bench '$(or $(ONLY),.)' -benchmem -count $(or $(COUNT),6) $(BENCHMARKED) > bench.out || { cat bench.out; exit 1; }
	$(BENCHSTAT) $(BEFORE) bench.out

# Import lines are the only places with the module's path, besides go.mod.
.PHONY: module-path
module-path: ## gives the module another path everywhere: TO=example.org/apquic
	@test -n '$(TO)' || { echo "say which: make module-path TO=example.org/apquic" >&2; exit 1; }
	$(GO) mod edit -module '$(TO)'
	@files=$$(grep -rlE --include='*.go' '"$(subst .,\.,$(MODULE))[/"]' .); \
	sed -E -i.before 's,^(import +)?([[:space:]]*[[:alnum:]_.]*[[:space:]]*)"$(subst .,\.,$(MODULE))(/[^"]*)?"([[:space:]]*(//.*)?)$$,\1\2"$(TO)\3"\4,' $$files && \
	gofmt -w $$files && for file in $$files; do rm "$$file.before"; done && echo "$(MODULE) is now $(TO)"

.PHONY: check
check: check-format check-generated check-vulnerabilities ## gofmt, go vet, staticcheck, generated code, known vulnerabilities, imports and documents
	$(GO) vet ./...
	$(STATICCHECK) ./...
	$(GO) test -count=1 .

.PHONY: check-format
check-format:
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; }

# The header of the generated file names protoc's version, which may differ; nothing else may.
.PHONY: check-generated
check-generated:
	@.ci/generated

.PHONY: check-vulnerabilities
check-vulnerabilities:
	@.ci/vulnerabilities

.PHONY: generate
generate: generate-proto ## framing/apquic.pb.go from framing/apquic.proto, which needs protoc; the tables of docs/config.md
	$(GO) test -count=1 ./internal/settings -run '^TestDocTables$$' -update

# The path of the Go package comes from go.mod: in the .proto file it would stand a second time.
.PHONY: generate-proto
generate-proto: bin/protoc-gen-go
	protoc --plugin=protoc-gen-go=bin/protoc-gen-go --go_opt=paths=source_relative \
	  --go_opt=Mframing/apquic.proto=$(MODULE)/framing --go_out=$(GENERATED) framing/apquic.proto

# Its version is the one of the protobuf module in go.mod.
bin/protoc-gen-go: go.mod
	$(GO) build -o $@ google.golang.org/protobuf/cmd/protoc-gen-go

.PHONY: dist
dist: $(TARGETS:%=dist-%) ## release binaries for every platform into dist/, with SHA256SUMS
	cd $(DIST) && { command -v sha256sum >/dev/null && sha256sum apquic-* || shasum -a 256 apquic-*; } > SHA256SUMS

# dist-linux-armv6 builds for GOOS=linux GOARCH=arm GOARM=6.
dist-%: goos   = $(word 1,$(subst -, ,$*))
dist-%: arch   = $(word 2,$(subst -, ,$*))
dist-%: goarch = $(patsubst armv%,arm,$(arch))
dist-%: goarm  = $(if $(filter armv%,$(arch)),GOARM=$(arch:armv%=%))
dist-%: ext    = $(if $(filter windows,$(goos)),.exe)
dist-%:
	@mkdir -p $(DIST)
	for program in apquic-server apquic-node; do \
	  CGO_ENABLED=0 GOOS=$(goos) GOARCH=$(goarch) $(goarm) GOMIPS=softfloat \
	  $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o $(DIST)/$$program-$*$(ext) ./cmd/$$program || exit 1; \
	done

.PHONY: test-arm
test-arm: dist-linux-armv6 ## the ARMv6 node under qemu-user against a native server
	APQUIC_ARM_NODE=$(abspath $(DIST))/apquic-node-linux-armv6 $(GO) test -count=1 -run '^TestARM$$' -v ./e2e

.PHONY: clean
clean: ## removes bin/, dist/ and what tests and benchmarks wrote
	rm -rf bin dist *.out
