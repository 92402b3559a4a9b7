# make help lists the targets with the text after ##.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
MODULE  := $(shell sed -n 's/^module //p' go.mod)
LDFLAGS  = -s -w -X $(MODULE)/internal/cli.version=$(VERSION)
DIST    ?= dist
GENERATED ?= .
TARGETS ?= linux-amd64 linux-arm64 linux-armv6 linux-armv7 linux-mipsle linux-riscv64 \
           darwin-arm64 darwin-amd64 windows-amd64 freebsd-amd64

# Developer tools are pinned here, so that go.mod has only what the programs need.
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT   = $(GO) run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

.DEFAULT_GOAL = build

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## both programs into bin/; make alone does the same
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: man
man: build ## manual pages of both programs into bin/, from what --help says
	bin/apquic-server __man >bin/apquic-server.1
	bin/apquic-node __man >bin/apquic-node.1

.PHONY: demo
demo: build ## a server, a node and a web site on this machine, until Ctrl-C; ONCE=1 fetches the page once and checks it
	$(GO) build -buildvcs=false -o bin/ ./internal/cmd/demo
	@ONCE=$(ONCE) bin/demo

# The race detector needs a C compiler (not on macOS); a machine without one runs the same tests without it.
# It need not watch the arithmetic of the standard library's cryptography, which shares nothing between goroutines and
# would take half of the time of all handshakes, nor that of bcrypt and scrypt, a hash of which would take seconds.
RACE ?= $(shell command -v $$($(GO) env CC) >/dev/null 2>&1 && echo -race -gcflags=golang.org/x/crypto/blowfish=-race=false -gcflags=golang.org/x/crypto/scrypt=-race=false -gcflags=crypto/internal/fips140/...=-race=false)

# Tests that the race detector distorts, or that do less under it because it makes them slow (internal/testrace).
WHOLE = (TestChaos|TestConnectingNodeFloods|TestFlappingMember|TestForeignGroup|TestIdleRelaysHoldNoBuffers|TestIdleTraffic|TestIsolation|TestLanes|TestLanesWhileRebinding|TestLossyThroughput|TestLossyTransfers|TestLostLanesOfStripes|TestManyRelaysAfterLoss|TestMemoryOfReadersThatSlowDown|TestNodeFloodsOrders|TestOutages|TestOutagesInARow|TestPausedReadersAfterLoss|TestPeersWrites|TestRelayWhileMoving|TestResetAtFullWindow|TestServerFollows|TestServicesChangeUnderLoad|TestStorm|TestStripes|TestUploadsAtLoss)

# quicproxy takes longest and begins first; e2e builds the programs itself, so a cached result would be of older ones.
# e2e/hostile measures memory and a neighbour's time: beside it runs only what takes the processor when nobody else wants
# it (SCHED_IDLE, where chrt is).
IDLE ?= $(shell command -v chrt >/dev/null 2>&1 && echo chrt --idle 0)

.PHONY: test
test: ## every test: unit, race detector, fuzz seeds, end to end with the real programs
	@test -n "$(RACE)" || echo "no C compiler here: the tests run without the race detector"
	$(GO) test -count=1 $(RACE) -timeout 20m ./quicproxy $$($(GO) list ./... | grep -v -e /e2e/hostile -e /quicproxy$$)
	$(IDLE) $(GO) test -count=1 -timeout 20m -run '^$(WHOLE)$$' ./quicproxy ./quicproxy/internal/bytestream & whole=$$!; \
	  $(GO) test -count=1 -timeout 10m ./e2e/hostile; hostile=$$?; wait $$whole && exit $$hostile

# Installs nothing, leaves nothing behind, and says what is missing. Without the race detector, because it measures time.
.PHONY: test-net
test-net: ## what relays survive when the network changes, in network namespaces; root on Linux; TRIES=10 takes the median of an outage of 5 s instead
	APQUIC_TEST_NET=1 APQUIC_TEST_NET_TRIES=$(TRIES) \
	  $(GO) test -count=1 -v -timeout 10m -parallel 6 $(if $(TRIES),-run '^TestOutageMedian$$') ./e2e/netns

.PHONY: fuzz
fuzz: ## fuzz every decoder, FUZZTIME=30s each
	@FUZZTIME='$(FUZZTIME)' .ci/fuzz

# The share of statements that the tests of each package run, without generated code.
.PHONY: cover
cover: ## test coverage of each package
	@$(GO) test -coverprofile=cover.out -coverpkg="$$($(GO) list ./certs ./framing ./internal/... ./lease/... ./quicproxy/... | grep -v internal/cmd | paste -sd,)" \
	  ./certs ./framing ./internal/cli ./internal/settings/... ./internal/testnet ./lease/... ./quicproxy/... >/dev/null
	@awk '/^mode:|\.pb\.go:/ {next} {size[$$1] = $$2; if ($$3) hit[$$1] = 1} \
	  END {for (b in size) {p = b; sub("/[^/]*:.*", "", p); all[p] += size[b]; if (b in hit) run[p] += size[b]} \
	    for (p in all) printf "%-44s %5.1f %%\n", p, 100*run[p]/all[p]}' cover.out | sort

.PHONY: bench
bench: build ## measure the programs into docs/benchmarks.md: RUNS=6 times, with other tunnels in PEERS=dir and another version in BEFORE=dir; with ONLY= or WHO=regexp only print, or write into the part PART=name
	$(GO) build -buildvcs=false -o bin/ ./internal/cmd/bench ./internal/cmd/testlink
	bin/bench --runs $(or $(RUNS),6) $(if $(PEERS),--peers '$(PEERS)') $(if $(BEFORE),--before '$(BEFORE)') $(if $(ONLY),--only '$(ONLY)') \
	  $(if $(WHO),--who '$(WHO)') $(if $(PART),--part '$(PART)') $(if $(or $(PART),$(if $(ONLY)$(WHO),,all)),--write docs/benchmarks.md)

.PHONY: bench-scale
bench-scale: build ## one server with NODES=1000 nodes
	$(GO) build -buildvcs=false -o bin/ ./internal/cmd/bench
	bin/bench nodes --count $(or $(NODES),1000)

# The results stay in bench.out: keep it under another name as the BEFORE of the next change.
BENCHMARKED = ./internal/udp ./quicproxy/...

.PHONY: bench-go
bench-go: ## the benchmarks among the tests, COUNT=6 times, with benchstat; BEFORE=old.out compares, ONLY=regexp selects
	$(GO) test -run '^$$' -bench '$(or $(ONLY),.)' -benchmem -count $(or $(COUNT),6) $(BENCHMARKED) > bench.out || { cat bench.out; exit 1; }
	$(BENCHSTAT) $(BEFORE) bench.out

# Import lines are the only places with the module's path, besides go.mod.
.PHONY: module-path
module-path: ## change the module's path everywhere: TO=example.org/apquic
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
generate: generate-proto ## framing/apquic.pb.go from framing/apquic.proto, which needs protoc; the tables of docs/config.md; docs/openapi.json
	$(GO) test -count=1 ./internal/settings -run '^TestDocTables$$' -update
	$(GO) test -count=1 ./admin -run '^TestDocument$$' -update

# The path of the Go package comes from go.mod, so that the .proto file need not repeat it.
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
clean: ## remove bin/, dist/ and the output of tests and benchmarks
	rm -rf bin dist *.out
