# make demo: install into .venv and run the main job on real data. make test, lint, notebooks, bench-small: what they say.
# make test-all: the slow tests too, as CI does.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
# NumPy's threads, beside those of other workers, mostly wait for each other.
export OPENBLAS_NUM_THREADS ?= 1
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
.PHONY: demo install test test-all lint notebooks docs bench-small clean
.DEFAULT_GOAL := demo

demo: $(STAMP)
	@echo
	@echo '$$ lleval estimate demo:livexiv-vqa --bank livexiv-vqa --truth demo:livexiv-vqa'
	@$(BIN)/lleval estimate demo:livexiv-vqa --bank livexiv-vqa --truth demo:livexiv-vqa

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: lleval_jax needs Python 3.11 or newer, and '$(PYTHON)' is not ($$($(PYTHON) -V 2>&1))." >&2; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "error: '$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; \
	  rm -rf $(VENV); exit 1; }
	@echo "Installing lleval_jax and its tools into $(VENV) (once; a few minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,plot,train,serve,bayes,live,docs]'
	@touch $@

# A worker gets neighbours, which share fixtures and compiled code; one that is done takes over half of what is left.
TESTS = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q --durations=20

# Language models run in float32 and promote types as Flax does, so their tests are a run of their own (tests/nn/pytest.ini).
NN_TESTS = $(TESTS) tests/nn

test: $(STAMP)
	$(TESTS)
	$(NN_TESTS)

test-all: $(STAMP)
	$(TESTS) -m 'not realmodel and not realdocs and not gpu'
	$(NN_TESTS) -m 'not realmodel and not gpu and not parity'

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pyright --pythonpath $(BIN)/python

# Every study once, tiny; and the pages that are made from results are up to date.
bench-small: $(STAMP)
	$(BIN)/python -m bench table --check
	$(BIN)/python -m bench run all --small

# Notebooks run from top to bottom, in a copy; `make notebooks KEEP=1` keeps what they print. Where nothing is kept,
# programs are compiled as in the tests, without XLA's expensive passes.
QUICK = --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true
notebooks: $(STAMP)
	@$(if $(KEEP),,export XLA_FLAGS="$${XLA_FLAGS:-$(QUICK)}";) out=$$(mktemp -d) && trap 'rm -rf "$$out"' EXIT && printf '%s\n' notebooks/*.ipynb | xargs -P $(WORKERS) -I BOOK \
	  $(BIN)/python -m nbconvert --to notebook --execute BOOK $(if $(KEEP),--inplace,--output-dir "$$out")

# The site, from disk: site/index.html. A broken link fails.
docs: $(STAMP)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) dist build site
