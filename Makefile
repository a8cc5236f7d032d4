# Everything that is done to this repository has a target here; `make` alone lists them.

CARGO ?= cargo
# From the environment or given to make; cargo is told of either.
OUT := $(or $(CARGO_TARGET_DIR),target)/release

.DEFAULT_GOAL := help
# Each target's parts go in the order in which they are written.
.NOTPARALLEL:
.PHONY: help setup packages packages-kernel services images build check test test-kernel fuzz demo bench stop-services \
	clean-images clean-kernel

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

packages:
	@scripts/setup.sh packages

packages-kernel: packages
	@scripts/setup.sh packages-kernel

services: packages
	@scripts/setup.sh services

setup: services build ## install what is missing, start Open vSwitch and Docker, register our runtime (root)
	@scripts/setup.sh host $(OUT)/archetype

images: services ## pull the images of the example labs, or build stand-ins for those that cannot be pulled (root)
	@scripts/images.sh

build: ## the two release binaries
	@scripts/setup.sh rust
	$(CARGO) build --release -p archetype-cli -p archetype-oci

check: ## format, lints, docs
	@scripts/setup.sh rust
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

# Tests bring their own Open vSwitch and engines, in sandboxes; nothing on this machine is started or changed but
# packages and the images' archive. A few sandboxes side by side are enough: an engine in each takes its memory.
test: packages ## every test, those that need root included (root)
	@scripts/setup.sh rust
	scripts/images.sh --cache
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-2} $(CARGO) test --workspace --no-fail-fast

# Debian's kernel in emulated machines that read this machine's files: the same test programs, on Open vSwitch's
# datapath in the kernel and with every privilege. Nothing is written outside of the cache and the target folder.
test-kernel: packages-kernel ## tests on the kernel's Open vSwitch, in emulated machines; KERNEL="word …" picks some (root)
	@scripts/setup.sh rust
	scripts/images.sh --cache
	$(CARGO) build --quiet --workspace --bin xtask
	$(OUT:release=debug)/xtask kernel $(KERNEL)

# Coverage-guided, on the readers of what users hand over; what it keeps is in fuzz/corpus, what breaks in fuzz/artifacts.
fuzz: packages ## texts against the readers of templates and topologies, FUZZ_SECONDS (60) each; FUZZ="target …" picks some
	@scripts/setup.sh rust
	scripts/fuzz.sh $(FUZZ)

demo: setup images ## deploy an example lab, prove it, break it, watch it mend (root)
	@scripts/demo.sh $(OUT)/archetype

bench: packages ## measure against the floor program (root)
	@scripts/setup.sh rust
	$(CARGO) build --release -p archetype-cli -p archetype-oci -p archetype-xtask
	$(OUT)/xtask bench $(BENCH)

stop-services: ## end the services that `make setup` started, and only those (root)
	@scripts/setup.sh stop

clean-images: ## remove the stand-in images and their cache
	@scripts/images.sh --clean

clean-kernel: ## remove the kernel that was fetched for test-kernel
	rm -rf $${ARCHETYPE_KERNEL_CACHE:-.cache/kernel}
