from __future__ import annotations

import subprocess
import sys

import pytest

from perfsuite.measure import environment as module
from perfsuite.measure.measurement import Environment
from tests.measure.test_gpu import fake_nvml

HARD = {"cpu": "EPYC", "cores": "2"}


def test_the_fingerprint_is_of_hard_facts_alone() -> None:
    assert Environment(HARD, {"kernel": "6.1"}).fingerprint == Environment(HARD).fingerprint
    assert Environment(HARD).fingerprint != Environment(HARD | {"cores": "4"}).fingerprint


def test_differences_name_both_values() -> None:
    other = Environment(HARD | {"cores": "4", "gpu": "H200"}, {"kernel": "6.2"})
    mine = Environment(HARD, {"kernel": "6.1"})
    assert mine.hard_differences(other) == {"cores": ("2", "4"), "gpu": ("absent", "H200")}
    assert mine.soft_differences(other) == {"kernel": ("6.1", "6.2")}


def test_this_environment_has_every_hard_fact_without_importing_torch() -> None:
    code = (
        "import sys; from perfsuite.measure.environment import detect_environment\n"
        "hard = detect_environment().hard\n"
        "assert {'os', 'cpu', 'cores', 'python', 'torch', 'cuda', 'gpu', 'gpus'} <= set(hard), hard\n"
        "assert hard['torch'].count('.') == 1 and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_same_machine_has_the_same_fingerprint() -> None:
    first = module.detect_environment().fingerprint
    module.detect_environment.cache_clear()
    assert module.detect_environment().fingerprint == first


def test_a_gpu_is_a_hard_fact_and_its_driver_a_soft_one(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = fake_nvml()
    fake.nvmlDeviceGetName = lambda device: b"NVIDIA H200"
    fake.nvmlSystemGetDriverVersion = lambda: "580.1"
    fake.nvmlDeviceGetEnforcedPowerLimit = lambda device: 700_000

    def no_mig(device: object) -> None:
        raise RuntimeError("not supported")

    fake.nvmlDeviceGetMigMode = no_mig
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(module, "load_nvml", lambda: fake)
    hard, soft = module._gpu_facts()
    assert hard == {"gpu": "NVIDIA H200", "gpus": "2", "mig": "off"}
    assert soft == {"driver": "580.1", "power_limit_watts": "700"}
    fake.nvmlDeviceGetMigMode = lambda device: (1, 1)
    assert module._gpu_facts()[0]["mig"] == "on"


def test_the_version_of_a_missing_distribution_is_absent() -> None:
    assert module.version_of("no-such-distribution") == "absent"
