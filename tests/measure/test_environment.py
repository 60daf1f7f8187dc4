from __future__ import annotations

import subprocess
import sys

import pytest

from perfsuite.measure import environment as module
from perfsuite.measure.measurement import Environment
from tests.measure.fake_nvml import FakeCard, FakeNvml

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


def facts_with(
    monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml | None, visible: str | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(module, "load_nvml", lambda: nvml)
    return module._gpu_facts()


NONE = {"gpu": "none", "gpus": "0"}
UNKNOWN = {"gpu": "unknown", "gpus": "unknown"}


def test_a_gpu_is_a_hard_fact_and_its_driver_a_soft_one(monkeypatch: pytest.MonkeyPatch) -> None:
    hard, soft = facts_with(monkeypatch, FakeNvml())
    assert hard == {"gpu": "NVIDIA H100", "gpus": "2", "mig": "off"}
    assert soft == {"driver": "580.1", "power_limit_watts": "700"}


@pytest.mark.parametrize(
    ("visible", "gpus"), [("1", "1"), ("GPU-aaa1,GPU-bbb2", "2"), ("0,-1,1", "1"), ("1,9", "1")]
)
def test_only_visible_devices_are_counted(visible: str, gpus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert facts_with(monkeypatch, FakeNvml(), visible)[0]["gpus"] == gpus


@pytest.mark.parametrize("visible", ["", "-1", "9"])
def test_hidden_devices_are_none(visible: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert facts_with(monkeypatch, FakeNvml(), visible) == (NONE, {})


@pytest.mark.parametrize("visible", [None, "0", "MIG-1"])
def test_an_instance_is_no_whole_card(visible: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = FakeCard("MIG-1", name="NVIDIA H100 MIG 1g.10gb")
    hard, _ = facts_with(monkeypatch, FakeNvml([FakeCard("GPU-1", instances=[instance])]), visible)
    assert hard == {"gpu": "NVIDIA H100 MIG 1g.10gb", "gpus": "1", "mig": "on"}


def test_a_gpu_that_cannot_be_read_is_unknown_and_not_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else figures of a GPU would be compared with those of machines without one."""
    monkeypatch.setattr(module, "nvml_problem", lambda: "NVML: Driver Not Loaded")
    assert facts_with(monkeypatch, None) == (UNKNOWN, {"gpu_problem": "NVML: Driver Not Loaded"})
    monkeypatch.setattr(module, "nvml_problem", lambda: "")
    assert facts_with(monkeypatch, None) == (NONE, {})


def test_a_lost_gpu_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert facts_with(monkeypatch, FakeNvml(answers=0)) == (UNKNOWN, {"gpu_problem": "NVML: GPU is lost"})


def test_different_cards_in_an_unknown_order_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml([FakeCard("GPU-1", name="T4"), FakeCard("GPU-2", name="H100")])
    hard, soft = facts_with(monkeypatch, nvml, "1")
    assert hard == UNKNOWN
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in soft["gpu_problem"]
    assert facts_with(monkeypatch, nvml, "GPU-2")[0]["gpu"] == "H100"


def test_the_version_of_a_missing_distribution_is_absent() -> None:
    assert module.version_of("no-such-distribution") == "absent"
