# make build      both programs into bin/                        make          the same
# make demo       a server, a node and a web site on this machine, until Ctrl-C
#                 make demo ONCE=1   fetches the page once and says whether it came
# make test       every test: unit, race detector, fuzz seeds, end to end with the real programs
# make test-net   what relays survive when the network changes, in network namespaces; needs root on Linux
#                 make test-net TRIES=10   the median recovery from an outage of 5 seconds instead
# make fuzz       tries every decoder with inputs that nobody thought of; FUZZTIME=30s each
# make cover      how much of each package its tests run
# make check      gofmt, go vet, staticcheck, generated code, known vulnerabilities
# make bench      measures the programs, beside other tunnels if PEERS=dir has their programs, into
#                 docs/benchmarks.md; RUNS=6 times. With ONLY=regexp or WHO=regexp it only prints.
#                 BEFORE=dir compares with the programs of another version of apquic
#                 Through a bad network, too, when it runs as root on Linux with nft and conntrack
# make bench-scale  one server with NODES=1000 nodes
# make bench-go   the benchmarks among the tests
# make dist       release binaries for every platform into dist/, with SHA256SUMS
# make test-arm   the ARMv6 node under qemu-user against a native server
# make generate   framing/apquic.pb.go from framing/apquic.proto; needs protoc
# make clean      removes bin/ and dist/

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
MODULE  := $(shell sed -n 's/^module //p' go.mod)
LDFLAGS  = -s -w -X $(MODULE)/internal/cli.version=$(VERSION)
DIST    ?= dist
GENERATED ?= .
TARGETS ?= linux-amd64 linux-arm64 linux-armv6 linux-armv7 linux-mipsle linux-riscv64 \
           darwin-arm64 darwin-amd64 windows-amd64 freebsd-amd64

STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: build
build:
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: demo
demo: build
	$(GO) build -buildvcs=false -o bin/ ./internal/demo
	@ONCE=$(ONCE) bin/demo

# The race detector needs a C compiler (not on macOS); a machine without one runs the same tests without it.
RACE ?= $(shell command -v $$($(GO) env CC) >/dev/null 2>&1 && echo -race)

# What the race detector distorts, or makes so slow that it does less under it (quicproxy/whole_test.go).
WHOLE = (TestIsolation|TestIdleRelaysHoldNoBuffers|TestIdleTraffic|TestLanes|TestLossyTransfers|TestRelayWhileMoving)

.PHONY: test
test:
	@test -n "$(RACE)" || echo "no C compiler here: the tests run without the race detector"
	$(GO) test -count=1 $(RACE) -timeout 20m $$($(GO) list ./... | grep -v /e2e/hostile) # e2e builds the programs itself, so a cached result would be of older ones
	$(GO) test -count=1 -timeout 10m ./e2e/hostile # alone: they measure memory and a neighbour's time
	$(GO) test -count=1 -run '^$(WHOLE)$$' ./quicproxy

# Installs nothing and leaves nothing behind; says what is missing. Not under the race detector: it measures time.
.PHONY: test-net
test-net:
	APQUIC_TEST_NET=1 APQUIC_TEST_NET_TRIES=$(TRIES) \
	  $(GO) test -count=1 -v -timeout 10m -parallel 6 $(if $(TRIES),-run '^TestOutageMedian$$') ./e2e/netns

.PHONY: fuzz
fuzz:
	@FUZZTIME='$(FUZZTIME)' .ci/fuzz

# The share of statements that the tests of each package run, without generated code.
.PHONY: cover
cover:
	@$(GO) test -coverprofile=cover.out ./certs ./framing ./internal/cli ./internal/config ./internal/testnet ./lease/... ./quicproxy >/dev/null
	@awk '/^mode:|\.pb\.go:/ {next} {sub("/[^/]*:", " "); all[$$1] += $$3; if ($$4) hit[$$1] += $$3} \
	  END {for (p in all) printf "%-24s %5.1f %%\n", p, 100*hit[p]/all[p]}' cover.out | sort

BENCH_PROGRAMS = ./bench $(addprefix ./,$(wildcard internal/testlink))

.PHONY: bench
bench: build
	$(GO) build -buildvcs=false -o bin/ $(BENCH_PROGRAMS)
	bin/bench --runs $(or $(RUNS),6) $(if $(PEERS),--peers '$(PEERS)') $(if $(BEFORE),--before '$(BEFORE)') $(if $(ONLY),--only '$(ONLY)') \
	  $(if $(WHO),--who '$(WHO)') $(if $(ONLY)$(WHO),,--write docs/benchmarks.md)

.PHONY: bench-scale
bench-scale: build
	$(GO) build -buildvcs=false -o bin/ ./bench
	bin/bench nodes --count $(or $(NODES),1000)

.PHONY: bench-go
bench-go:
	$(GO) test -run '^$$' -bench . -benchmem ./...

# Import lines are the only places with the module's path, besides go.mod.
.PHONY: module-path
module-path:
	@test -n '$(TO)' || { echo "say which: make module-path TO=example.org/apquic" >&2; exit 1; }
	$(GO) mod edit -module '$(TO)'
	@files=$$(grep -rlE --include='*.go' '"$(subst .,\.,$(MODULE))[/"]' .); \
	sed -E -i.before 's,^(import +)?([[:space:]]*[[:alnum:]_.]*[[:space:]]*)"$(subst .,\.,$(MODULE))(/[^"]*)?"([[:space:]]*(//.*)?)$$,\1\2"$(TO)\3"\4,' $$files && \
	gofmt -w $$files && for file in $$files; do rm "$$file.before"; done && echo "$(MODULE) is now $(TO)"

.PHONY: check
check: check-format check-generated check-vulnerabilities
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
generate: bin/protoc-gen-go # the module's path stands in go.mod, not in the .proto file
	protoc --plugin=protoc-gen-go=bin/protoc-gen-go --go_opt=paths=source_relative \
	  --go_opt=Mframing/apquic.proto=$(MODULE)/framing --go_out=$(GENERATED) framing/apquic.proto

# Its version is the one of the protobuf module in go.mod.
bin/protoc-gen-go: go.mod
	$(GO) build -o $@ google.golang.org/protobuf/cmd/protoc-gen-go

.PHONY: dist
dist: $(TARGETS:%=dist-%)
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
test-arm: dist-linux-armv6
	APQUIC_ARM_NODE=$(abspath $(DIST))/apquic-node-linux-armv6 $(GO) test -count=1 -run '^TestARM$$' -v ./e2e

.PHONY: clean
clean:
	rm -rf bin dist cover.out
