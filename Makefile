# Everything runs inside VENV; `make test VENV=/somewhere/else` uses another one.
VENV ?= .venv
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$python" && break; done)

# The exact versions that are installed; `make install CONSTRAINTS=` takes the newest that pyproject.toml allows, and so do
# other Pythons than the one for which they were resolved: not all of them have wheels there.
CONSTRAINTS ?= $(shell "$(PYTHON)" -c 'import sys; print("constraints.txt" * (sys.version_info[:2] == (3, 11)))' 2>/dev/null)

TEST_PROCESSES ?= 2

BIN := $(VENV)/bin
STAMP := $(VENV)/.acula-edge-installed

# An environment that another checkout installed itself into is installed again.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

.PHONY: help install demo test onnxruntime-web faults fuzz lint constraints bench clean

help:
	@echo "make install   everything needed to develop, into $(VENV) (6 GB, mostly torch)"
	@echo "make demo      the whole line on generated recordings; ends with runs/demo/report.html"
	@echo "make test      the tests; those of the page in a browser need Chromium and make onnxruntime-web"
	@echo "make onnxruntime-web   have npm fetch it into the cache, once"
	@echo "make faults    disturb the verbs that write 600 times: kills, signals, errors of the disk, no memory (two hours)"
	@echo "make fuzz      100,000 mutated inputs for each boundary where files come in (20 minutes), or FUZZ_SECONDS=4 each"
	@echo "make lint      ruff, mypy, and known vulnerabilities of what is installed, where they can be asked for"
	@echo "make constraints  resolve constraints.txt anew from pyproject.toml"
	@echo "make bench     latency of the demo's bundle on this machine, 5 loops of 10 s"
	@echo "make clean     remove build products and caches; keeps $(VENV) and runs/"

install: $(STAMP)

# The stamp is newer than pyproject.toml and the constraints exactly when what they ask for is installed.
$(STAMP): pyproject.toml $(CONSTRAINTS)
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or later found; name one: make install PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable ".[train,demo,dev]" \
	    $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
	@printf %s "$(CURDIR)" > $@

demo: install
	$(BIN)/acula-edge demo

test: install
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup

onnxruntime-web: install
	$(BIN)/python -c "from acula_edge.web import find_onnxruntime_web as f; print('onnxruntime-web from', f().source)"

faults: install
	$(BIN)/python -m tests.faults

# FUZZ_RUNS inputs for every harness, or FUZZ_SECONDS for each; what breaks is kept in FUZZ_OUT.
FUZZ_RUNS ?= 100000
FUZZ_OUT ?= runs/fuzz

fuzz: install
	$(BIN)/python -m tests.fuzz --out $(FUZZ_OUT) $(if $(FUZZ_SECONDS),--seconds $(FUZZ_SECONDS),--runs $(FUZZ_RUNS))

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.supply_chain.audit

constraints: install
	$(BIN)/python -m tests.supply_chain.constraints

bench: install
	@test -d runs/demo/export || $(BIN)/acula-edge demo
	$(BIN)/acula-edge benchmark --full runs/demo/export/*/

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find acula_edge tests -name __pycache__ -type d -prune -exec rm -rf {} +
