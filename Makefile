# One door: `make check` does in minutes what CI does before the long tests. `make help` lists the rest.

GO          ?= go
SEEDS       ?= 1000
T           ?= 60s
OLD         ?= HEAD~1
BENCH       ?= .
CONTROLLERS ?= adaptive,bbr,cubic
OUT         ?= bin/congestion
ARGS        ?=

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT   = golang.org/x/perf/cmd/benchstat@latest
PLATFORMS   = linux/arm64 linux/arm linux/mipsle linux/riscv64 darwin/arm64 windows/amd64 freebsd/amd64
FOLDERS     = bench cmd conn crypto protocol spec
# Where Debian's golang-github-xtaci-kcp-dev is installed, kcp-go is among the rivals.
KCP         = $(wildcard /usr/share/gocode/src/github.com/xtaci/kcp-go)
RIVALS      = bench/rivals$(if $(KCP),/withkcp)
FEATURES    = segment coalesce many steer ecn
OVERSOCKETS = Shards|LeftBehind|StartedAgain|BothEnds|NetConn|RunOver|RunsOver|Outbox|DoNotAllocate|QuestionAndAnswer
BENCHED     = ./crypto/... ./protocol/... ./conn/...

.PHONY: help check ci build test race audit lint cross vet-rivals plain fuzz sim mutate vectors e2e media bench congestion realtime realtime-sockets rivals rivals-short FORCE kernel timing scale game handshakes shards flood profile

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

check: lint test race audit ## format, vet, lint, all tests, race detector, nonce audit

ci: ## everything that CI does
	bash .ci/run

build: ## the command into bin/
	$(GO) build -o bin/godwit ./cmd/godwit

test: ## all tests, as the README says
	$(GO) test ./...

race: ## the race detector on the packages that have goroutines
	$(GO) test -race ./conn/...

plain: ## the tests of package conn without all fast features of the sockets, and those over real sockets without each of them
	$(GO) test ./conn -args -without all
	$(GO) test -c -o bin/conn.test ./conn
	@for feature in $(FEATURES); do \
		echo "without $$feature"; \
		(cd conn && ../bin/conn.test -test.run '$(OVERSOCKETS)' -without $$feature) || exit 1; \
	done

audit: ## every nonce is written down; one that comes back fails
	$(GO) test -tags godwit_audit -run 'Attack20|Seeds' ./crypto ./protocol ./protocol/sim

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l $(FOLDERS)); test -z "$$unformatted" || { echo "not gofmt-ed: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags e2e ./cmd/godwit/... ./bench/kernel
	$(GO) vet -tags godwit_audit,godwit_timing,godwit_flood ./crypto ./conn
	$(GO) vet -tags godwit_flood ./conn
	$(GO) run $(STATICCHECK) ./...
	cd bench/rivals && $(GO) run $(STATICCHECK) -tags e2e ./...

cross: ## builds without cgo for the other platforms
	@for target in $(PLATFORMS); do \
		echo "build $$target"; \
		GOOS=$${target%/*} GOARCH=$${target#*/} CGO_ENABLED=0 $(GO) build -o /dev/null ./... || exit 1; \
	done

vet-rivals: ## vet the module that compares with others, and have each rival that is installed carry everything once; for root
	cd bench/rivals && $(GO) vet -tags e2e ./... && $(GO) build -o /dev/null . && $(GO) test -tags e2e -count=1 -parallel 8 ./...
	$(if $(KCP),cd bench/rivals/withkcp && $(GO) vet ./... && $(GO) test -count=1 ./...)

fuzz: ## every fuzz target for T (60s) each
	$(GO) run ./cmd/fuzzall -time $(T)

sim: ## SEEDS (1000) random runs of the simulator
	$(GO) test -count=1 -timeout 0 -run 'TestSeeds$$' -v ./protocol/sim -sim.seeds $(SEEDS)

mutate: ## take checks out, one by one, and see tests fail; writes spec/mutations.md
	$(GO) run ./cmd/mutate -list spec/mutations.txt -report spec/mutations.md

vectors: ## write spec/vectors anew; read the diff
	$(GO) test ./protocol/wire ./protocol/fec ./crypto ./crypto/handshake -run Vector -update

e2e: ## real programs through a tunnel, the kernel's TCP beside us; for root, with the packages of .ci/packages
	$(GO) test -tags e2e -count=1 -v -p 1 ./cmd/godwit/e2e ./bench/kernel

media: ## cmd/godwit/e2e/RESULTS.md anew: ffmpeg through the tunnel, four minutes on a machine that has nothing else to do
	$(GO) test -tags e2e -count=1 -v -run TestMedia ./cmd/godwit/e2e -args -media.time 200s -media.results RESULTS.md

bench: ## benchmarks of the library, compared with those of OLD (HEAD~1)
	rm -rf bin && mkdir bin && git worktree prune && git worktree add -f bin/old $(OLD) >/dev/null
	for i in 1 2 3 4 5 6 7 8 9 10; do \
		(cd bin/old && $(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(BENCHED)) >>bin/old.txt && \
		$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(BENCHED) >>bin/new.txt || exit 1; \
	done
	git worktree remove --force bin/old
	$(GO) run $(BENCHSTAT) bin/old.txt bin/new.txt

congestion: SEEDS = 20
congestion: ## judge CONTROLLERS in the simulator under SEEDS (20) seeds; tables, and a page with plots, in OUT
	$(GO) run ./cmd/congestion -controllers $(CONTROLLERS) -seeds $(SEEDS) -out $(OUT) \
		-note "$$(git describe --always --dirty), $$(date -u +%F)" $(ARGS)

realtime: SEEDS = 5
realtime: ## messages, media and their repair in the simulator under SEEDS (5) seeds: bench/realtime/testdata/full.txt anew
	$(GO) run ./cmd/realtime -seeds $(SEEDS) -golden bench/realtime/testdata/full.txt -update \
		-note "$$(git describe --always --dirty), $$(date -u +%F)" $(ARGS)

realtime-sockets: ## bench/realtime/RESULTS.md anew: messages and media in real time, eight minutes; for root, on a quiet machine
	$(GO) build -o bin/realtime-sockets ./bench/realtime/sockets
	chrt --rr 1 bin/realtime-sockets -out bench/realtime/RESULTS.md

bin/rivals: FORCE
	cd $(RIVALS) && $(GO) build -o $(CURDIR)/bin/rivals .

rivals: bin/rivals ## bench/rivals/RESULTS.md anew: every workload beside TCP, TLS, QUIC, SCTP, KCP, SRT; ARGS as for bin/rivals -help; for root, three hours
	bin/rivals -out bench/rivals/RESULTS.md -json bin/rivals.json $(ARGS)

rivals-short: bin/rivals ## a part of it on loopback, in less than a minute
	bin/rivals -short $(ARGS)

kernel: ## bench/kernel/RESULTS.md anew: against the kernel's TCP, real sockets beside the simulator; for root, half an hour
	$(GO) build -o bin/kernel ./bench/kernel
	chrt --rr 1 bin/kernel -out bench/kernel/RESULTS.md

game: ## a game with ever more players, both ends on this machine: how late messages are, and what they cost
	$(GO) run ./bench/scale -game 500,1000,1500,2000,3000

scale: ## memory and processor time of a server with 10,000 and 100,000 idle sessions, as a table; half an hour, 3 GB
	$(GO) run ./bench/scale

profile: ## processor and allocation profiles of the standard workloads into bin/profile, the time by layer, the bare loop beside it
	mkdir -p bin && $(GO) build -o bin/profile-workloads ./bench/profile && bin/profile-workloads -out bin/profile $(ARGS)

handshakes: ## new sessions a second on this machine beside what the bare cryptography of both ends allows
	$(GO) test -run '^$$' -bench Handshakes -benchtime 10x -count 5 ./conn

shards: ## packets that two shards take beside one, on a machine with 8 cores or more; else it says that nothing was measured
	$(GO) test -run '^$$' -bench Shards -benchtime 1x -v ./conn

timing: ## Welch's t-test on a million opens (attack row 21)
	$(GO) test -tags godwit_timing -count=1 -run Timing -v ./crypto

flood: ## forged first packets at several rates, what floods do to a session that is there, a hundred thousand slow handshakes, as tables
	$(GO) test -tags godwit_flood -count=1 -timeout 20m -run 'TestAttack02HandshakeFloodTable|TestSessionsDuringFloodsTable|TestAttack04SlowHandshakesOverSockets' ./conn -v
