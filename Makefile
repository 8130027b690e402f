# Every target sets itself up: a virtual environment in .venv, packages from the hash-pinned lock, then the job.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CAEBENCH := $(BIN)/caebench
READY := $(VENV)/.ready

# Tests start hundreds of processes: Python keeps their bytecode, also where it is told not to.
test test-all test-slurm test-faults fuzz: export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo demo-seeds test test-all test-slurm test-faults test-offline fuzz lint format lock wheels clean

demo: $(READY)
	$(CAEBENCH) run suite quickstart --scale nano

demo-seeds: $(READY)
	$(CAEBENCH) run suite quickstart --scale nano --seeds 0,1,2

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow and not gpu"

test-all: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -o faulthandler_timeout=3600 -m "not gpu"

# On Debian, as root: installs SLURM with apt where it is missing, and says so.
test-slurm: $(READY)
	$(BIN)/python -m tests.slurm.install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/slurm -o faulthandler_timeout=3600 -m slurm

# Prints the seed of every random choice; CAEBENCH_KILLS=... sets another.
test-faults: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/faults tests/unit/training/test_checkpoint.py tests/unit/files tests/e2e/test_codes.py \
		-n 2 --dist loadgroup -rP -o faulthandler_timeout=3600 -m "not gpu"

# Inputs of each kind in long-lived workers, and some in processes of their own: at most 40 minutes on two cores.
FUZZ_COUNT ?= 10000
FUZZ_PROCESSES ?= 100
FUZZ_SEED ?= 0
fuzz: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --seed $(FUZZ_SEED) --count $(FUZZ_COUNT) --processes $(FUZZ_PROCESSES) --workers 2

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml caebench

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The lock holds every package with its hashes, for every platform, and names no registry.
lock:
	uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate \
		--generate-hashes --extra dev pyproject.toml -o requirements.lock

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 14) else \
		"caebench needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is %d.%d. Run: make PYTHON=python3.12 ..." % v[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) .caebench

# For machines without a network: caebench and every locked package, for this platform and Python.
WHEELS ?= dist/wheels
wheels: $(READY)
	$(BIN)/python -m hatchling build -d $(WHEELS)
	$(BIN)/python -m pip wheel --quiet --no-deps --require-hashes -r requirements.lock -w $(WHEELS)

# The recipe of docs/how-to/install.md: gigabytes of wheels, minutes.
test-offline: wheels
	rm -rf build/offline && $(PYTHON) -m venv build/offline
	build/offline/bin/pip install --quiet --no-index --no-deps $(WHEELS)/*.whl
	cd build && offline/bin/caebench plan quickstart && CAEBENCH_STORE=offline/store offline/bin/caebench eval "quickstart/Random encoder" --on knn
