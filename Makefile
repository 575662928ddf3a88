# The targets a contributor needs. 'make test' is the one that counts.
.PHONY: build demo test soak bench lint vuln fuzz

GO ?= go
REAL := $(CURDIR)/.build/real-servers.log

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/fleet ./cmd/fleet

demo:
	$(GO) run ./cmd/fleet demo

# Installs what the tests need (Debian packages, if root and missing; else says
# which), then runs them all with the race detector. FLEET_REAL makes a test
# that needs a real server fail where it would else skip, and each such test
# writes its name to FLEET_REAL_LOG, so that none can go missing in silence.
test: lint
	scripts/testdeps
	@mkdir -p .build && rm -f $(REAL)
	CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/fleet
	FLEET_REAL=1 FLEET_REAL_LOG=$(REAL) $(GO) test -race -count=1 -timeout 9m ./...
	scripts/realcheck $(REAL)

# All seeds, long fuzzing, large fleets: hours, not minutes.
soak:
	scripts/testdeps
	scripts/soak

# Speed beside a bare x/crypto/ssh loop and the peers that are installed, as
# ratios of one run; docs/benchmarks.md keeps the last.
bench: build
	scripts/bench

lint:
	@fmt=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$fmt" ] || { echo "not gofmt-ed:" $$fmt; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

# Apart from test: it needs its database from the network.
vuln:
	$(GO) run golang.org/x/vuln/cmd/govulncheck@latest ./...
