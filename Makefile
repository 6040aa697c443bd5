# make serve: the service, on port 8000. make test: lint, types and all tests; make quick: only those that need no
# server, browser or fit. Each makes the environment it needs.

# What the locks are for: Python 3.11 to 3.15.
OLDEST = 11
NEWEST = 15

# The first Python that they are for; another one with: make serve PYTHON=/path/to/python. Where there is none, the one
# that is there, so that what is wrong with it can be said.
PYTHON ?= $(shell for p in python3 python3.15 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(not (3, $(OLDEST)) <= sys.version_info < (3, $(NEWEST) + 1))' 2>/dev/null \
	&& echo $$p && exit; done; command -v python3 || command -v python)
VENV ?= .venv
VENV_DEV ?= .venv-dev
VENV_RAY ?= .venv-ray

GOAL = $(or $(MAKECMDGOALS),serve)

.PHONY: serve test quick test-ray lint format lock lock-check audit sbom peers

serve: $(VENV)/.installed
	@exec $(VENV)/bin/python -m service serve

PROCESSORS := $(shell $(VENV_DEV)/bin/python -c 'import os; print(len(os.sched_getaffinity(0)))' 2>/dev/null || echo 2)
# Many tests wait for servers and browsers, so there are more workers than processors. Those of make quick do not wait.
WORKERS ?= $(shell echo $$((2 * $(PROCESSORS))))
quick: WORKERS = $(PROCESSORS)
# A module's tests run in one worker, which makes its fixtures once, in the order of tests/conftest.py. One thread a
# worker: more of them only fight for the processors.
PYTEST = OPENBLAS_NUM_THREADS=1 $(VENV_DEV)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile \
	--no-loadscope-reorder

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
	$(VENV_RAY)/bin/python -m pytest tests/deploy/test_ray.py tests/deploy/test_bulk.py

# Types are numpy's of Python 3.11 to 3.14. That of 3.15 has others, and mypy can only read one of them.
lint: $(VENV_DEV)/.installed
	$(VENV_DEV)/bin/ruff check
	$(VENV_DEV)/bin/ruff format --check
	@if $(VENV_DEV)/bin/python -c 'import sys; sys.exit(sys.version_info >= (3, 15))'; then \
		echo $(VENV_DEV)/bin/mypy; $(VENV_DEV)/bin/mypy; \
	else echo "mypy is left out: types are checked on Python 3.11 to 3.14"; fi
	$(VENV_DEV)/bin/lint-imports

format: $(VENV_DEV)/.installed
	$(VENV_DEV)/bin/ruff check --fix
	$(VENV_DEV)/bin/ruff format

$(VENV)/.installed: requirements/runtime.txt
$(VENV_DEV)/.installed: requirements/dev.txt
$(VENV_RAY)/.installed: requirements/ray.txt
$(VENV)/.installed: OTHERWISE = , or install without the lock: pip install .
# Ray has no wheels for 3.15, and nothing to build them from.
$(VENV_RAY)/.installed: NEWEST = 14

# The stamp comes last, so that an interrupted installation is taken up again.
%/.installed:
	@found=$$($(or $(PYTHON),false) -c 'import sys; print("%d.%d" % sys.version_info[:2])') || found=none; \
	case $$found in 3.*) minor=$${found#3.} ;; *) minor=0 ;; esac; \
	if [ $$minor -lt $(OLDEST) ]; then \
		echo "Python 3.$(OLDEST) to 3.$(NEWEST) is needed, found $$found: make $(GOAL) PYTHON=/path/to/python" >&2; exit 1; \
	elif [ $$minor -gt $(NEWEST) ]; then \
		echo "Python $$found is newer than $< knows: make $(GOAL) PYTHON=python3.$(NEWEST)$(OTHERWISE)" >&2; exit 1; \
	fi
	@echo "Installing $< into $* (once)"
	@$(PYTHON) -m venv $*
	@$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Locks for every Python and platform at once. A package has one version, so that types are checked alike everywhere, and
# a second one only where requirements/constraints.txt asks for it. Extras are named, since older pips take the newest of
# a package that is asked for with some. Needs uv.
COMPILE = uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.$(OLDEST) --generate-hashes \
	--no-strip-extras --no-header $(UPGRADE) -c requirements/constraints.txt --excludes requirements/excludes.txt \
	pyproject.toml

lock:
	$(COMPILE) -o requirements/runtime.txt
	$(COMPILE) --extra train --group dev -c requirements/runtime.txt -o requirements/dev.txt
	$(COMPILE) --extra ray --group ray -c requirements/dev.txt -o requirements/ray.txt

# Whether each lock installs from wheels on each Python and platform it is for. Needs uv.
lock-check:
	$(PYTHON) requirements/check.py

# What benchmarks compare the service with.
peers: $(patsubst benchmarks/peers/%.txt,.venv-peers/%/.made,$(wildcard benchmarks/peers/*.txt))

.venv-peers/%/.made: benchmarks/peers/%.txt
	$(PYTHON) -m venv .venv-peers/$*
	.venv-peers/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Known weaknesses of what is locked for uv's Python, as its advisories tell them. Needs uv.
audit:
	uvx pip-audit --strict --disable-pip --require-hashes -r requirements/runtime.txt -r requirements/dev.txt

# What the image's Python environment consists of, as CycloneDX: of the lock, the lines for the Python of Dockerfile.
# Needs uv.
sbom:
	uv pip compile --quiet --no-header --no-deps --no-python-downloads --generate-hashes --python-version 3.13 \
		--python-platform linux requirements/runtime.txt -o sbom.txt
	uvx --from cyclonedx-bom cyclonedx-py requirements --output-reproducible -o sbom.json sbom.txt
	rm sbom.txt
