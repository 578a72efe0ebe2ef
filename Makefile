# make run     boot Debian 13 for RISC-V to a shell           make test   everything CI runs
# make help    the other targets

SHELL := /bin/bash
.DEFAULT_GOAL := help

EMULATE := .build/release/emulate
# Options of `make run` that a user may want to change: make run SMP=4 MEMORY=2G ARGS='-drive file=disk.img,format=raw,if=virtio'
SMP ?= 1
MEMORY ?= 512M
APPEND ?= console=ttyS0
ARGS ?=

# Debian packages: what the build links, then what guests, firmware checks and tests need.
BUILD_PACKAGES := libslirp-dev libfdt-dev zlib1g-dev libzstd-dev libcapstone-dev libedit-dev
GUEST_PACKAGES := kmod cpio xz-utils gzip debian-archive-keyring
TEST_PACKAGES := binutils-riscv64-linux-gnu device-tree-compiler e2fsprogs gdb-multiarch acpica-tools qemu-utils
UEFI_PACKAGES := fdisk mtools
VECTOR_PACKAGES := binutils aom-tools
BENCH_PACKAGES := qemu-system-misc e2fsprogs

define install
	@missing=$$(for package in $(1); do \
	    dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || echo $$package; done); \
	if [ -n "$$missing" ]; then \
	    command -v apt-get >/dev/null || { echo "emulate: please install:" $$missing >&2; exit 1; }; \
	    as_root=; if [ "$$(id -u)" != 0 ]; then as_root=sudo; fi; \
	    echo "emulate: installing" $$missing >&2; \
	    $$as_root apt-get -qq -o Acquire::Retries=3 update >&2 && \
	    DEBIAN_FRONTEND=noninteractive $$as_root apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $$missing >/dev/null || \
	    { echo "emulate: installing failed; please install by hand:" $$missing >&2; exit 1; }; \
	fi
endef

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F '\t' '{printf "make %-16s %s\n", $$1, $$2}'

.PHONY: deps test-deps bench-deps
deps: ## install what building and `make run` need (Debian packages)
	$(call install,$(BUILD_PACKAGES) $(GUEST_PACKAGES))

test-deps: deps
	$(call install,$(TEST_PACKAGES))

bench-deps: deps
	$(call install,$(BENCH_PACKAGES) $(UEFI_PACKAGES))

.PHONY: build
build: deps ## build the release binary, .build/release/emulate
	@swift build -c release --product emulate >&2

.PHONY: install
PREFIX ?= /usr/local
install: build ## install the command into PREFIX (/usr/local)
	install -D -m 755 $(EMULATE) $(DESTDIR)$(PREFIX)/bin/emulate
	install -D -m 644 docs/emulate.md $(DESTDIR)$(PREFIX)/share/doc/emulate/emulate.md

.PHONY: guest
guest: deps ## fetch Debian's kernel and busybox into the cache
	@Tests/Guests/debian.sh >/dev/null

.PHONY: guest-uefi
guest-uefi: deps ## fetch Debian's UEFI firmware, GRUB and installer, and make a disk with them
	$(call install,$(UEFI_PACKAGES))
	@Tests/Guests/uefi.sh >/dev/null

.PHONY: guest-iommu
guest-iommu: deps ## fetch the kernel of Debian's next release, which drives the IOMMU
	@Tests/Guests/forky.sh >/dev/null

.PHONY: guest-kvm
guest-kvm: deps ## fetch what a nested Linux guest needs: Debian's kernel with kvm, and QEMU
	@Tests/Guests/kvm.sh >/dev/null

.PHONY: guest-vectors
guest-vectors: deps ## fetch programs of Debian's whose libraries use vectors
	$(call install,$(VECTOR_PACKAGES))
	@Tests/Guests/vectors.sh >/dev/null

.PHONY: run
run: build guest ## boot Debian 13 to a shell; Ctrl-A x quits
	@guest=$$(Tests/Guests/debian.sh) && exec $(EMULATE) -machine virt -smp $(SMP) -m $(MEMORY) -nographic \
	    -kernel "$$guest/Image" -initrd "$$guest/initrd.gz" -append "$(APPEND)" $(ARGS)

.PHONY: rom
rom: build ## run a bare-metal program; needs no download
	@$(EMULATE) -machine virt -nographic -bios none -kernel testroms/hello.elf

.PHONY: test test-offline
test: test-deps guest guest-uefi firmware-check testroms-check ## all tests, real boots included
	swift build -c release --build-tests
	@Tests/run.sh

test-offline: test-deps firmware-check testroms-check ## the tests that need no download
	swift build -c release --build-tests
	@EMULATE_OFFLINE=1 Tests/run.sh

# FUZZ_SECONDS=0 goes on until Ctrl-C; FUZZ_SEED=N repeats a run. Failures are saved in Tests/EmuCPUTests/FuzzCases.
.PHONY: fuzz
FUZZ_SECONDS ?= 0
FUZZ_SEED ?=
fuzz: test-deps ## run random programs by the interpreter and by translated code until Ctrl-C, and save what differs
	swift build -c release --build-tests
	FUZZ=$(FUZZ_SECONDS) $(if $(FUZZ_SEED),FUZZ_SEED=$(FUZZ_SEED)) swift test -c release --skip-build --filter FuzzTests/randomProgramsWithoutEnd

# Each operation of each format on as many random operands, in every rounding mode, besides special values; the suite takes 40,000.
.PHONY: float
FLOAT_SAMPLES ?= 1000000
float: test-deps ## compare floating point with exact rational arithmetic on a million operands per operation and rounding mode
	swift build -c release --build-tests
	FLOAT_SAMPLES=$(FLOAT_SAMPLES) swift test -c release --skip-build --filter 'FloatArithmeticTests|FloatComparisonTests|FloatConversionTests'

# What breaks a target is saved in fuzz/; TARGET_SECONDS=0 goes on until Ctrl-C.
.PHONY: fuzz-targets
TARGET ?=
TARGET_SECONDS ?= 60
fuzz-targets: test-deps ## run parsers and devices under libFuzzer, all for TARGET_SECONDS (60) each, or TARGET=nvme
	fuzz/run.sh $(TARGET_SECONDS) $(TARGET)

.PHONY: lockstep
lockstep: build guest ## boot Debian with every block of translated code compared with the interpreter; a minute or two
	@guest=$$(Tests/Guests/debian.sh) && timeout 600 $(EMULATE) --engine lockstep --stats -machine virt -smp $(SMP) -m $(MEMORY) -nographic \
	    -kernel "$$guest/Image" -initrd "$$guest/initrd.gz" -append "$(APPEND) run=$$(echo true | base64)" </dev/null

.PHONY: firmware firmware-check
firmware: ## rebuild the SBI firmware image
	firmware/build.sh Sources/EmuMachine/Resources/firmware.bin

firmware-check: ## rebuild the firmware and compare with the image checked in
	firmware/build.sh --check

.PHONY: testroms testroms-check
testroms: ## rebuild the test ROMs
	testroms/build.sh

testroms-check: ## rebuild the test ROMs and the debugger's fixtures and compare with those checked in
	testroms/build.sh --check
	Tests/EmuControlTests/Fixtures/build.sh --check

# Options of `emulate bench`, for all of these: make bench ARGS='--group integer --html bench.html'
.PHONY: bench bench-full bench-check bench-ratios bench-micro
bench: bench-deps build ## measure the slowdown against this machine and QEMU (the quick profile)
	@$(EMULATE) bench $(ARGS)

bench-full: bench-deps build ## every benchmark in every place; takes long
	@$(EMULATE) bench --full $(ARGS)

bench-check: bench-deps build ## check the ratios of benchmarks/thresholds.json
	@$(EMULATE) bench --check benchmarks/thresholds.json $(ARGS)

bench-ratios: bench-deps build ## two figures: sieve, quicksort and fib in one program, and the boot of Debian
	@$(EMULATE) bench --only sieve-quicksort-fib,boot $(ARGS)

.PHONY: bench-debugger
bench-debugger: build ## what the debugger costs: steps, scripts, breakpoints never reached, stopping four harts
	@benchmarks/debugger.sh $(EMULATE)

bench-micro: deps ## time the emulator's own parts (a package of its own)
	@cd benchmarks/micro && swift package --disable-sandbox benchmark --no-progress $(ARGS)

.PHONY: clean
clean: ## remove build products, not the cache of guests
	rm -rf .build
