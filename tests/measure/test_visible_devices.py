"""Which devices CUDA shows, and what NVML knows of them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from perfsuite.measure.visible_devices import is_order_unknown, other_processes, visible_devices
from tests.measure.fake_nvml import FakeCard, FakeNvml


def mig_card() -> FakeCard:
    instances = [FakeCard(f"MIG-{n}", name="NVIDIA H100 MIG 1g.10gb") for n in (1, 2)]
    return FakeCard("GPU-mig", instances=instances)


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, ["GPU-aaa1", "GPU-bbb2"]),
        ("0", ["GPU-aaa1"]),
        ("1,0", ["GPU-bbb2", "GPU-aaa1"]),
        (" 1 ", ["GPU-bbb2"]),
        ("GPU-bbb2", ["GPU-bbb2"]),
        ("GPU-b", ["GPU-bbb2"]),
        ("GPU-", []),  # two cards match
        ("GPU-ccc", []),
        ("", []),
        ("-1", []),
        ("1,-1,0", ["GPU-bbb2"]),
        ("0,7,1", ["GPU-aaa1"]),
        ("0,0", []),
        ("all", []),
    ],
)
def test_the_list_is_read_as_cuda_reads_it(visible: str | None, expected: list[str]) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert [device.handle.uuid for device in visible_devices(FakeNvml(), environment)] == expected


@pytest.mark.parametrize(
    ("visible", "expected"),
    [(None, "MIG-1"), ("0", "MIG-1"), ("MIG-2", "MIG-2"), ("GPU-mig", "MIG-1"), ("MIG-9", None)],
)
def test_a_card_with_instances_shows_an_instance(visible: str | None, expected: str | None) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    devices = visible_devices(FakeNvml([mig_card()]), environment)
    assert [(device.handle.uuid, device.card.uuid, device.is_mig) for device in devices] == (
        [] if expected is None else [(expected, "GPU-mig", True)]
    )


def test_a_card_whose_instances_are_switched_off_is_whole() -> None:
    [device] = visible_devices(FakeNvml([FakeCard("GPU-1", instances=[])]), {})
    assert not device.is_mig


@pytest.mark.parametrize(
    ("environment", "is_unknown"),
    [
        ({}, True),
        ({"CUDA_VISIBLE_DEVICES": "1"}, True),
        ({"CUDA_VISIBLE_DEVICES": "GPU-2"}, False),
        ({"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, False),
        ({"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}, True),
    ],
)
def test_the_order_of_different_cards_is_unknown(environment: Mapping[str, str], is_unknown: bool) -> None:
    nvml = FakeNvml([FakeCard("GPU-1", name="T4"), FakeCard("GPU-2", name="H100")])
    assert is_order_unknown(nvml, environment) is is_unknown
    assert (not visible_devices(nvml, environment)) is is_unknown
    assert not is_order_unknown(FakeNvml(), environment), "equal cards keep the order of the bus"


def test_own_processes_are_no_others() -> None:
    nvml = FakeNvml([FakeCard("GPU-1", processes=(7, 4, 4))])
    [device] = visible_devices(nvml, {})
    assert other_processes(nvml, device) == [4, 7]
    assert other_processes(nvml, device, own=frozenset({7})) == [4]


def test_processes_that_nvml_does_not_list_are_unknown() -> None:
    card = FakeCard("GPU-1", unsupported=frozenset({"nvmlDeviceGetComputeRunningProcesses"}))
    nvml = FakeNvml([card])
    [device] = visible_devices(nvml, {})
    assert other_processes(nvml, device) is None
