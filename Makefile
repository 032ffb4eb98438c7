# manifold: the tasks of a checkout. `make run` and `make test` work on a fresh machine with cargo and apt.

CARGO ?= cargo
# The configuration of `make serve`.
CONF ?=
# The profile of the build. Without it, `make run` takes demo, which builds fast, `make serve` takes release, and
# `make package` takes dist.
PROFILE ?=
# Options of the demo, such as `make run ARGS="--listen 127.0.0.1:9999"`.
ARGS ?=
binary = "$${CARGO_TARGET_DIR:-target}/$(if $(filter dev,$(1)),debug,$(1))/manifold"
FUZZ_SECS ?= 60
# The container image's name, and its engine: docker, podman or buildah. Without ENGINE, the first that answers is
# taken.
IMAGE ?= manifold
ENGINE ?=
export IMAGE ENGINE
# The benchmark: QUICK=1 for short windows, or for example SCENARIOS="cpu latency" and BENCH_ARGS="--repeats 5".
QUICK ?=
SCENARIOS ?=
BENCH_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run serve test test-rust test-modes lint configs check licenses audit fuzz bench soak image try-image \
	package try-package

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what the build needs (cmake, a C compiler), if it is missing
	@scripts/setup

run: setup ## Build and run the demo: gateway, origin and page on 127.0.0.1:8080
	@[ -x $(call binary,$(or $(PROFILE),demo)) ] || echo "Building the demo. On two cores, the first build takes about two minutes."
	$(if $(PROFILE),,CMAKE_TOOLCHAIN_FILE=$(CURDIR)/scripts/demo.cmake) $(CARGO) build --profile $(or $(PROFILE),demo) --locked \
		$(if $(PROFILE),,--no-default-features)
	exec $(call binary,$(or $(PROFILE),demo)) demo $(ARGS)

serve: setup ## Build and run a configuration: make serve CONF=site.toml
	@[ -n "$(CONF)" ] || { echo "make serve: name your configuration: make serve CONF=site.toml" >&2; \
		echo "  manifold init writes one to fill in, and make run shows a demo" >&2; exit 2; }
	$(CARGO) build --profile $(or $(PROFILE),release) --locked
	exec $(call binary,$(or $(PROFILE),release)) -c $(CONF)

test: ## Run all tests, installing the browser, origins and clients that they are tried with
	@scripts/setup --test
	$(CARGO) test --locked
	STORIES_SHARDS=off $(CARGO) test --locked --test stories
	STORIES_IO_URING=off $(CARGO) test --locked --test stories
	STORIES_TLS=1.3 $(CARGO) test --locked --test stories
	STORIES_TLS=1.3 STORIES_HTTP2=1 $(CARGO) test --locked --test stories
	$(CARGO) test --locked --manifest-path models/Cargo.toml --test models

test-rust: setup ## Run the tests that need nothing but cargo: no browser, no other programs, no other origins
	$(CARGO) test --locked --lib --bins --test stories --test arrows --test licenses
	STORIES_SHARDS=off $(CARGO) test --locked --test stories
	STORIES_IO_URING=off $(CARGO) test --locked --test stories
	STORIES_TLS=1.3 $(CARGO) test --locked --test stories
	STORIES_TLS=1.3 STORIES_HTTP2=1 $(CARGO) test --locked --test stories

test-modes: setup ## Run the stories in the modes that the gate leaves out: TLS 1.2, and HTTP/2 without TLS, by the engine and by sessions
	STORIES_TLS=1.2 $(CARGO) test --locked --test stories
	STORIES_HTTP2=1 $(CARGO) test --locked --test stories
	STORIES_HTTP2=1 STORIES_HTTP2_BY=session $(CARGO) test --locked --test stories

lint: ## Check the format, lints and docs
	@scripts/setup --lint
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

configs: setup ## Check that every conf/*.toml loads
	$(CARGO) build --locked
	@set -e; for conf in conf/*.toml; do \
		echo "manifold --test -c $$conf"; \
		"$${CARGO_TARGET_DIR:-target}/debug/manifold" --test -c "$$conf"; \
	done

check: ## The gate: all that CI runs
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory configs
	@$(MAKE) --no-print-directory try-image

licenses: ## Write docs/third-party-licenses.txt, after a change of Cargo.lock (installs cargo-about)
	@scripts/licenses/write

audit: ## Check licences, sources and known faults of the crates in use (installs cargo-deny)
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --locked check

fuzz: setup ## Run every fuzz target, or those in TARGETS, for FUZZ_SECS seconds (60)
	@scripts/fuzz $(or $(FUZZ_SECS),60) $(TARGETS)

bench: ## Measure manifold beside bare send(), Nchan, Pushpin and Varnish, into benches/results
	@scripts/setup --bench
	$(CARGO) bench --locked --bench fanout -- --save $(if $(QUICK),--quick) $(BENCH_ARGS) $(SCENARIOS)

soak: setup ## Endurance: everything at once for MINUTES minutes (1), into benches/results
	$(CARGO) bench --locked --bench soak -- --save --minutes $(or $(MINUTES),1) $(SOAK_ARGS)

image: ## Build the container image with docker, podman or buildah
	@scripts/image

try-image: ## Build the image and prove it with a real origin, where an engine can run it
	@scripts/setup --image
	@scripts/try-image

package: ## Make the files of a release in target/package: a static binary and a .deb
	@scripts/setup --package
	@scripts/package

try-package: ## Prove the files of make package: install, upgrade and remove the .deb in a container
	@scripts/setup --image
	@scripts/try-package
