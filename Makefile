# Two commands do everything on a fresh machine with Swift and a package manager:
#   make demo    compress a real language model and print what was lost
#   make test    build for release and run every test

SWIFT ?= swift
BUILD := .build/release
PITH := $(BUILD)/pith
PACKAGES := libopenblas-dev liblapacke-dev libhdf5-dev libhwy-dev libssl-dev libpcre2-dev zlib1g-dev pkg-config
BREW_PACKAGES := openblas lapack hdf5 highway openssl@3 pcre2 zlib pkg-config
# One BLAS thread: parallelism is ours (docs/determinism.md).
export OPENBLAS_NUM_THREADS := 1

.PHONY: all build setup demo test bench format lint static interop clean

all: build

# Installs what pkg-config does not find; says what it runs, and does nothing when all is there.
setup:
	@if pkg-config --exists hdf5 openblas lapacke libcrypto libpcre2-8 zlib 2>/dev/null \
	   && { [ -e /usr/include/hwy/highway.h ] || pkg-config --exists libhwy; }; then :; \
	elif command -v apt-get >/dev/null; then \
	  run=""; [ "$$(id -u)" = 0 ] || run="sudo"; \
	  echo "installing: $(PACKAGES)"; \
	  $$run apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $$run apt-get install -y -qq $(PACKAGES); \
	elif command -v brew >/dev/null; then \
	  echo "installing: $(BREW_PACKAGES)"; brew install $(BREW_PACKAGES); \
	else \
	  echo "error: please install these libraries with their headers: $(PACKAGES)" >&2; exit 1; \
	fi
	@command -v $(SWIFT) >/dev/null || { echo "error: Swift 6.1 or newer is needed: https://www.swift.org/install" >&2; exit 1; }

build: setup
	$(SWIFT) build -c release --product pith

demo: build
	@./.ci/demo.sh $(PITH)

# Tests see internal declarations, which changes how the code is compiled: a build folder of its
# own keeps the two from undoing each other.
TEST_BUILD := .build-tests
test: setup
	$(SWIFT) build -c release --build-tests --scratch-path $(TEST_BUILD) -Xswiftc -enable-testing
	PITH_BINARY="$(CURDIR)/$(TEST_BUILD)/release/pith" \
	  $(SWIFT) test -c release --skip-build --scratch-path $(TEST_BUILD) $(TESTFLAGS)

bench: build
	cd Benchmarks && $(SWIFT) run -c release PithBenchmarks --pith ../$(PITH)

format:
	$(SWIFT) format --in-place --recursive Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources

lint:
	$(SWIFT) format lint --strict --recursive Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources

# The archives of OpenBLAS need Fortran's run-time library.
static: setup
	@[ "$$(gcc -print-file-name=libgfortran.a)" != libgfortran.a ] || { \
	  run=""; [ "$$(id -u)" = 0 ] || run="sudo"; $$run apt-get install -y -qq gfortran; }
	./.ci/build-static.sh

# Round trips through other programs; each script says when the program that it needs is missing.
interop: build
	@python3 Tests/Interop/convert_roundtrip.py $(PITH) fixtures/nanollama || [ $$? = 77 ]
	@python3 Tests/Interop/artefact_with_h5py.py $(PITH) fixtures/nanollama/model.h5 || [ $$? = 77 ]
	@python3 Tests/Interop/rtn_error.py $(PITH) fixtures/nanollama/model.h5 || [ $$? = 77 ]
	@python3 Tests/Interop/peft_roundtrip.py $(PITH) fixtures/nanollama || [ $$? = 77 ]
	@python3 Tests/Interop/export_formats.py $(PITH) fixtures/nanollama || [ $$? = 77 ]
	@python3 Tests/Interop/compressed_forms.py $(PITH) fixtures/nanollama || [ $$? = 77 ]
	@python3 Tests/Interop/import_theirs.py $(PITH) fixtures/nanollama || [ $$? = 77 ]
	@python3 Tests/Interop/kv_scales.py $(PITH) fixtures/nanollama || [ $$? = 77 ]
	@python3 Tests/Interop/one_model_everywhere.py $(PITH) || [ $$? = 77 ]
	@python3 Tests/Interop/eora_adapter.py $(PITH) fixtures/nanollama || [ $$? = 77 ]
	@python3 Tests/Interop/keras_weights.py $(PITH) || [ $$? = 77 ]

clean:
	rm -rf .build .build-*
