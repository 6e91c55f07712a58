# Three targets need nothing else done before: `make demo`, `make demo-save` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
WORKERS ?= 2

.PHONY: demo demo-save test lint bench guests controls mutation vectors boards-small clean check-system

demo: $(STAMP)
	$(BIN)/blindvisor demo

demo-save: $(STAMP)
	$(BIN)/blindvisor demo-save

test: lint
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --warnings

# Longer evidence, not part of `make test`.
bench: $(STAMP)
	$(BIN)/blindvisor bench sim

controls: $(STAMP)
	$(BIN)/blindvisor attack --control

mutation: $(STAMP)
	$(BIN)/blindvisor mutate --table --jobs $(WORKERS)

# All published AES-GCM vectors and 10,000 random messages, through the engine's Verilog.
vectors: $(STAMP)
	$(BIN)/blindvisor bench vectors --messages 10000

# Bitstreams for the two iCE40 boards, a few minutes each: small enough to make every day.
boards-small: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[fpga]'
	$(BIN)/blindvisor build --board hx8k
	$(BIN)/blindvisor build --board icebreaker

guests: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[guests]'
	$(BIN)/python -m blindvisor.sw.guests.build

$(STAMP): pyproject.toml | check-system
	$(PYTHON) -m venv $(VENV)
	@echo "Installing what pyproject.toml lists into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

check-system:
	@missing=""; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || missing="$$missing python3(>=3.11)"; \
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	command -v g++ >/dev/null || missing="$$missing g++"; \
	command -v perl >/dev/null || missing="$$missing perl"; \
	if [ -n "$$missing" ]; then \
	  echo "Missing on this system:$$missing"; \
	  echo "Debian, Ubuntu: sudo apt-get install python3-venv g++ make perl"; \
	  exit 3; \
	fi

clean:
	rm -rf build out
