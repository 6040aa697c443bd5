# make serve: the service, on port 8000. make test: lint, types and all tests; make quick: only those that need no
# server, browser or fit. Each makes the environment it needs.

# The first Python that is new enough; another one with: make serve PYTHON=/path/to/python
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
VENV_DEV ?= .venv-dev
VENV_RAY ?= .venv-ray

.PHONY: serve test quick test-ray lint format lock audit sbom peers

serve: $(VENV)/.installed
	@exec $(VENV)/bin/python -m service serve

# Many tests wait for servers and browsers, so there are more workers than processors.
WORKERS ?= $(shell $(VENV_DEV)/bin/python -c 'import os; print(2 * len(os.sched_getaffinity(0)))' 2>/dev/null || echo 2)
# One thread a worker: more of them only fight for the processors.
PYTEST = OPENBLAS_NUM_THREADS=1 $(VENV_DEV)/bin/python -m pytest --numprocesses $(WORKERS)

# With COVERAGE=1 it also measures coverage, and fails below 100 %.
test: lint
ifdef COVERAGE
	$(VENV_DEV)/bin/coverage erase
	$(PYTEST) --cov --cov-report=term
else
	$(PYTEST)
endif

quick: lint
	$(PYTEST) -m "not slow"

# Apart from the others: Ray is large, and takes seconds to start.
test-ray: $(VENV_RAY)/.installed
	$(VENV_RAY)/bin/python -m pytest tests/deploy/test_ray.py

lint: $(VENV_DEV)/.installed
	$(VENV_DEV)/bin/ruff check
	$(VENV_DEV)/bin/ruff format --check
	$(VENV_DEV)/bin/mypy
	$(VENV_DEV)/bin/lint-imports

format: $(VENV_DEV)/.installed
	$(VENV_DEV)/bin/ruff check --fix
	$(VENV_DEV)/bin/ruff format

$(VENV)/.installed: requirements/runtime.txt
$(VENV_DEV)/.installed: requirements/dev.txt
$(VENV_RAY)/.installed: requirements/ray.txt

# The stamp comes last, so that an interrupted installation is taken up again.
%/.installed:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Installing $< into $* (once)"
	@$(PYTHON) -m venv $*
	@$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Locks for every Python and platform at once, with one version of each package, so that types are checked alike
# everywhere. Extras are named, since older pips take the newest of a package that is asked for with some. Needs uv.
COMPILE = uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --generate-hashes \
	--no-strip-extras --no-header $(UPGRADE) pyproject.toml

lock:
	$(COMPILE) -o requirements/runtime.txt
	$(COMPILE) --extra train --group dev -c requirements/runtime.txt -o requirements/dev.txt
	$(COMPILE) --extra ray --group ray -c requirements/dev.txt -o requirements/ray.txt

# What benchmarks compare the service with.
peers: $(patsubst benchmarks/peers/%.txt,.venv-peers/%/.made,$(wildcard benchmarks/peers/*.txt))

.venv-peers/%/.made: benchmarks/peers/%.txt
	$(PYTHON) -m venv .venv-peers/$*
	.venv-peers/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Known weaknesses of what is locked, as its advisories tell them. Needs uv.
audit:
	uvx pip-audit --strict --disable-pip --require-hashes -r requirements/runtime.txt -r requirements/dev.txt

# What the image's Python environment consists of, as CycloneDX. Needs uv.
sbom:
	uvx --from cyclonedx-bom cyclonedx-py requirements --output-reproducible -o sbom.json requirements/runtime.txt
