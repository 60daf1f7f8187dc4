"""The registry holds every operation, and refuses operations that would disturb each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from perfsuite.transforms.augment.modes import MODES
from perfsuite.transforms.augment.operations import registry
from perfsuite.transforms.augment.operations.base import (
    AugmentOperation,
    Parameter,
    PixelOperation,
    RandomSlots,
)
from perfsuite.transforms.augment.operations.brightness import Brightness
from perfsuite.transforms.augment.operations.registry import (
    COLUMNS,
    OPERATIONS,
    PARAMETER_NAMES,
    check_operations,
)


class Gamma(Brightness):
    """An operation that disturbs no other."""

    parameters: ClassVar = (Parameter("gamma", identity=1.0),)
    random_slots: ClassVar = RandomSlots.of_own_block("gamma", count=1)
    order: ClassVar = 15


def variant(**attributes: Any) -> type[AugmentOperation]:
    return type("Variant", (Gamma,), attributes)


def test_every_file_of_the_folder_holds_an_operation_of_its_name() -> None:
    folder = Path(registry.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "base", "registry"}
    assert {operation.__name__.lower() for operation in OPERATIONS} == {f.replace("_", "") for f in files}


def test_every_operation_of_a_mode_is_registered() -> None:
    used = {type(operation) for mode in MODES.values() for operation in mode.operations}
    assert used <= set(OPERATIONS)


def test_the_columns_of_the_operations_are_the_fields_of_a_draw() -> None:
    for operation, columns in COLUMNS.items():
        assert PARAMETER_NAMES[columns] == tuple(parameter.name for parameter in operation.parameters)
    assert sum(columns.stop - columns.start for columns in COLUMNS.values()) == len(PARAMETER_NAMES)


def test_an_operation_with_a_block_of_its_own_is_accepted() -> None:
    check_operations([*OPERATIONS, Gamma])


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"parameters": (Parameter("brightness", identity=1.0),)}, "both have a parameter brightness"),
        ({"random_slots": RandomSlots(first=6, count=1)}, "read the same random numbers"),
        (
            {"random_slots": RandomSlots(first=15, count=2, block=3)},
            "reads random number 16",
        ),
        ({"order": 20}, "Contrast and Variant both have order 20"),
    ],
)
def test_operations_that_disturb_each_other_are_refused(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_operations([*OPERATIONS, variant(**attributes)])


def test_an_operation_without_its_forms_cannot_be_created() -> None:
    class Incomplete(PixelOperation):
        def sample_parameters(self, u: Sequence[Any]) -> tuple[Any, ...]:
            return ()

    with pytest.raises(TypeError, match="abstract"):
        Incomplete()  # type: ignore[abstract]
