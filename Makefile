# The commands that people and .ci/run use. `make test` and `make bench` need
# PostgreSQL, MariaDB and OpenLDAP, `make test` also a C compiler, Chromium and Node.js; scripts/prepare
# installs what is missing where it may, and scripts/with-postgres and scripts/with-mariadb
# start servers that go when the command ends.

GO          ?= go
STATICCHECK  = honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 10s
SCHEMAS     ?= 500
DEPARTURES  ?= 2000
KILLS       ?= 200
VERSIONS    ?= 16 17
CROWD       ?= 10000
FLOOD       ?= 1450

# The race detector makes test binaries large and slow to link: two at a time.
# Child processes of tests would each sleep a second at their end without GORACE.
export GORACE = atexit_sleep_ms=0

# The race detector watches all but SQLite's own code, translated C that takes it three
# times as long; what shares its memory does so through database/sql, which is watched.
RACE = -race -gcflags='modernc.org/sqlite/lib=-race=false' -gcflags='modernc.org/libc=-race=false'

# What isn't called for each step, row, entry or expression is built without inlining: 4.8 MB of 65.2.
COLD = cel.dev github.com/antlr4-go github.com/cedar-policy github.com/danielgtaylor github.com/go-jose github.com/go-ldap github.com/goccy github.com/minio github.com/pressly github.com/prometheus github.com/santhosh-tekuri github.com/spf13 github.com/tink-crypto github.com/wneessen \
	go.opentelemetry.io go.yaml.in google.golang.org github.com/tenurehq/tenure
HOT = . ./audit ./internal/engine ./internal/store ./internal/expression ./internal/survey
RELEASED = -tags=grpcnotrace $(COLD:%=-gcflags=%/...=-l) $(HOT:%=-gcflags=%=)
BIN ?= bin/tenure

# These spend their time in servers, programs and long stories. The race detector takes them two
# to six times as long: make test has it watch only those of their tests in which calls come together.
SERVED = cmd/tenure cmd/tenure-connector-tofu connector/exec connector/http/descriptions connector/ldap connector/mysql connector/postgres connector/s3 internal/crash internal/customer internal/departure internal/lifecycle
TOGETHER = ^Test(Conformance|HubSpot|Make|NodeRED|PocketBase|SCIM|Salesforce|Stripe|FiveHundredAtOnceRefuseFewCommits|TenantsComeAndGoAtOnce|TwoAtOnce)$$/^[^/]+$$/^(driver|system)$$/^at_once$$
MODULE = github.com/tenurehq/tenure
SPACE := $(subst ,, )
SERVERS = '$(CURDIR)/scripts/with-postgres' --if-named '$(CURDIR)/scripts/with-mariadb' --if-named

# Tests make their temporary folders where that is quick; what go build makes for a while stays where it was.
test every versions crash crowd fuzz: export GOTMPDIR := $(or $(GOTMPDIR),$(TMPDIR),/tmp)
test every versions crash crowd fuzz: export TMPDIR := $(shell scripts/scratch)

.PHONY: help build test every versions lint bench docs fuzz crash crowd flood

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

build: ## bin/tenure, as it is released
	$(GO) build -trimpath -ldflags='-s -w' $(RELEASED) -o '$(BIN)' ./cmd/tenure

test: ## every test, on SQLite and on throw-away PostgreSQL, MariaDB and other servers; with the race detector but for SERVED
	@scripts/prepare cc postgresql mariadb slapd mail python chromium node versitygw pocketbase terraform
	$(GO) test $(RACE) -p 2 -timeout 30m -exec "$(SERVERS)" $$($(GO) list ./... | grep -vxE '$(MODULE)/($(subst $(SPACE),|,$(SERVED)))')
	$(GO) test -p 2 -timeout 50m -exec "$(SERVERS)" $(SERVED:%=./%)
	$(GO) test $(RACE) -p 2 -timeout 30m -exec "$(SERVERS)" -run '$(TOGETHER)' $(patsubst %,./%,$(filter connector/% internal/lifecycle,$(SERVED)))
	for v in $(VERSIONS); do scripts/with-postgres --version $$v $(GO) test -count=1 -run 'TestCheck|TestLimits|TestMemberships|TestSuperuser' ./connector/postgres || exit; done # all of it: make versions

every: ## every test with the race detector, with every case and mode that make test takes a part of: hours
	@scripts/prepare cc postgresql mariadb slapd mail python chromium node versitygw pocketbase terraform
	TENURE_EVERY=1 $(GO) test $(RACE) -p 2 -timeout 3h -exec "$(SERVERS)" ./...

versions: ## all tests of the PostgreSQL connector on VERSIONS (16 and 17), and the story of a tenant there
	@scripts/prepare node
	for v in $(VERSIONS); do scripts/with-postgres --version $$v $(GO) test -count=1 -timeout 40m ./connector/postgres || exit; \
		scripts/with-postgres --version $$v $(GO) test -count=1 -run TestPostgresScripts ./cmd/tenure || exit; done

lint: ## gofmt, go vet, staticcheck, tidy modules, and the rules of internal/policy
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo "lint: run gofmt -w on these files" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff
	$(GO) test ./internal/policy ./docs

bench: ## the promises on speed and size, each beside its baseline, compiled as what is released
	@scripts/prepare postgresql mariadb slapd node versitygw pocketbase
	TENURE_TEST_MARIADBD='--innodb-buffer-pool-size=512M --innodb-flush-log-at-trx-commit=1 --innodb-flush-method=fsync --innodb-log-file-size=256M' scripts/with-mariadb scripts/with-postgres --durable $(GO) run $(RELEASED) ./bench
	TENURE_BENCH=1 scripts/with-postgres --durable $(GO) test $(RELEASED) -count=1 -timeout 40m -v -run 'TestDrift|TestOnboardOverFive|TestSurvey' ./bench
	TENURE_USERS=100 scripts/with-postgres $(GO) test -count=1 -timeout 30m -v -run TestCrowdIsCut ./internal/departure # 1,000 users

docs: ## write anew what is derived from code: pages, diagrams, golden files
	scripts/derive

fuzz: ## every fuzz target for FUZZTIME (10s), DEPARTURES (2000) random departures, and SCHEMAS (500) random schemas on each database and in S3
	scripts/fuzz $(FUZZTIME)
	TENURE_DEPARTURES=$(DEPARTURES) $(GO) test -count=1 -timeout 2h -run 'TestRandomDepartures' ./internal/lifecycle
	TENURE_RANDOM_SCHEMAS=$(SCHEMAS) TENURE_RANDOM_ENDS=$(SCHEMAS) TENURE_RANDOM_SEED=$$(date +%s) scripts/with-postgres scripts/with-mariadb $(GO) test -count=1 -timeout 2h -run 'TestRandomSchemas|TestRandomEnds|TestRandomObjects' ./connector/mysql ./connector/postgres ./connector/s3 ./connector/sqlite

crash: ## kill Tenure and its stores KILLS (200) times while tenants leave a shop and a clinic; cut MariaDB, S3 and LDAP at every statement and request
	@scripts/prepare postgresql mariadb slapd node versitygw
	TENURE_EVERY=1 scripts/with-mariadb $(GO) test -count=1 -timeout 1h -run 'TestEvery(Step|Statement|Request)' ./connector/ldap ./connector/mysql ./connector/s3
	TENURE_DEPARTURE_KILLS=$(KILLS) scripts/with-postgres scripts/with-mariadb $(GO) test -count=1 -timeout 2h ./internal/departure

crowd: ## a tenant with CROWD (10000) partitions, and one with as many tables, leave
	TENURE_CROWD=$(CROWD) scripts/with-postgres $(GO) test -count=1 -v -timeout 2h -run TestCrowdLeavesLocksToOthers ./connector/postgres

flood: ## 10,000 events of FLOOD (1450) customers: doubled, forged, in no order, the server started anew in the middle
	TENURE_FLOOD=$(FLOOD) $(GO) test -count=1 -v -timeout 2h -run TestFloodOfEvents ./internal/server
