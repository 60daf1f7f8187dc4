from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from perfsuite.data.loader import Loader
from perfsuite.data.loaders import make_loaders
from perfsuite.data.sources.annotation_formats import read_annotations
from perfsuite.data.sources.annotations import Annotations, ImageAnnotation, ObjectAnnotation
from perfsuite.data.sources.map_files import MAP_SUFFIXES, write_map
from perfsuite.data.sources.maps import MapOrigin, MapSource, draw_map, store_maps
from perfsuite.data.sources.splits import SPLITS
from perfsuite.errors import DataError

ENGINES = [("threads", 2), ("processes", 2), ("subprocess", 2), ("device", 1), ("threads", 0)]
SQUARE = ((2.0, 2.0), (5.0, 2.0), (5.0, 5.0), (2.0, 5.0))
BOW_TIE = ((0.0, 0.0), (8.0, 8.0), (8.0, 0.0), (0.0, 8.0))


@pytest.fixture(scope="module")
def image_annotations(folder: Path) -> Annotations:
    return read_annotations(folder / "annotations.json")


def annotated(
    *polygons: tuple[tuple[float, float], ...], size: int = 8, file: str = "a.jpg"
) -> ImageAnnotation:
    objects = tuple(ObjectAnnotation(0, (0, 0, 8, 8), (polygon,)) for polygon in polygons)
    return ImageAnnotation(file, size, size, objects)


def drain(loader: Loader) -> int:
    return sum(len(images) for images, _ in loader)


def test_an_object_covers_the_pixels_whose_centers_lie_inside() -> None:
    drawn = draw_map(annotated(SQUARE))
    assert drawn.dtype == np.uint8
    assert int(drawn.sum()) == 9
    assert (drawn[2:5, 2:5] == 1).all()


def test_a_later_object_covers_an_earlier_one_and_a_figure_eight_is_drawn() -> None:
    drawn = draw_map(annotated(SQUARE, BOW_TIE))
    assert drawn[4, 0] == drawn[4, 7] == 2
    assert drawn[2, 3] == 1


def test_two_polygons_of_an_object_are_both_covered() -> None:
    """Where they overlap too: they are parts of the object, not holes."""
    shifted = tuple((x + 2, y) for x, y in SQUARE)
    thing = ObjectAnnotation(0, (2, 2, 7, 5), (SQUARE, shifted))
    drawn = draw_map(ImageAnnotation("a.jpg", 8, 8, (thing,)))
    assert (drawn[2:5, 2:7] == 1).all()
    assert int(drawn.sum()) == 15


@pytest.mark.parametrize("count", [255, 256, 300])
def test_every_object_has_a_number_of_its_own(count: int, tmp_path: Path) -> None:
    squares = [tuple((x + 8 * (n % 20), y + 8 * (n // 20)) for x, y in SQUARE) for n in range(count)]
    many, one = annotated(*squares, size=160), annotated(SQUARE, size=160, file="b.jpg")
    drawn = draw_map(many)
    assert set(np.unique(drawn)) == set(range(count + 1))
    annotations = Annotations.from_images([one, many])
    store_maps(annotations, tmp_path)
    for source in (MapSource(tmp_path), MapSource(annotations=annotations)):
        assert source.dtype == (np.uint8 if count == 255 else np.int32)
        np.testing.assert_array_equal(source.get_map("a.jpg", 160, 160).values, drawn)
        assert source.get_map("b.jpg", 160, 160).values.dtype == source.dtype


def test_a_map_beyond_the_pixel_limit_is_refused() -> None:
    with pytest.raises(Exception, match="claims 30,000 x 30,000 pixels"):
        draw_map(ImageAnnotation("a.jpg", 30_000, 30_000, ()))


@pytest.mark.parametrize("suffix", MAP_SUFFIXES)
def test_stored_maps_are_read_and_not_drawn(
    image_annotations: Annotations, tmp_path: Path, suffix: str
) -> None:
    assert store_maps(image_annotations, tmp_path, suffix) == 40
    assert store_maps(image_annotations, tmp_path) == 0
    drawn, stored = MapSource(annotations=image_annotations), MapSource(tmp_path, image_annotations)
    assert (stored.stored_count, stored.drawn_count, drawn.drawn_count) == (40, 0, 40)
    for image in image_annotations:
        sides = image.width, image.height
        read, expected = stored.get_map(image.file, *sides), drawn.get_map(image.file, *sides)
        assert (read.origin, expected.origin) == (MapOrigin.STORED, MapOrigin.DRAWN)
        np.testing.assert_array_equal(read.values, expected.values)


@pytest.mark.parametrize("suffix", MAP_SUFFIXES)
@pytest.mark.parametrize(("engine", "workers"), ENGINES)
def test_loaders_read_every_map_from_the_store_with_every_engine(
    folder: Path, image_annotations: Annotations, tmp_path: Path, engine: str, workers: int, suffix: str
) -> None:
    store_maps(image_annotations, tmp_path, suffix)
    loaders = make_loaders(
        folder, 8, workers, image_size=32, annotations=folder / "annotations.json", maps=tmp_path,
        engine=engine, start_method="fork",
    )  # fmt: skip
    assert loaders.info["maps"] == {"stored": 40, "drawn": 0}
    assert drain(loaders.train) == 32
    assert str(loaders.train.map_counts) == "32 maps: 32 stored (100 %), 0 drawn, 0 in memory"
    loaders.close()


def test_missing_maps_are_drawn_and_counted(
    folder: Path, image_annotations: Annotations, tmp_path: Path
) -> None:
    store_maps(list(image_annotations)[:39], tmp_path)
    loaders = make_loaders(folder, 8, 0, image_size=32, annotations=image_annotations, maps=tmp_path)
    assert loaders.info["maps"] == {"stored": 39, "drawn": 1}
    for split in SPLITS:
        drain(getattr(loaders, split))
    counts = [getattr(loaders, split).map_counts for split in SPLITS]
    assert sum(count.stored for count in counts) == 39
    assert sum(count.drawn for count in counts) == 1


def test_maps_without_the_name_of_any_image_are_an_error(
    image_annotations: Annotations, tmp_path: Path
) -> None:
    write_map(tmp_path / "other" / "1.npy", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match="none of its 1 maps has the name of an annotated image, expected"):
        MapSource(tmp_path, image_annotations)


@pytest.mark.parametrize(
    ("dtype", "expected", "engine", "workers"),
    [
        (*types, *engine)
        for types, engine in zip(
            [
                ("bool", torch.bool),
                ("int16", torch.int16),
                ("uint16", torch.int32),
                ("int64", torch.int64),
                ("float32", torch.float32),
            ],
            ENGINES,
            strict=True,
        )
    ],
)
def test_a_batch_keeps_the_type_and_the_values_of_stored_maps(
    folder: Path, tmp_path: Path, dtype: str, expected: torch.dtype, engine: str, workers: int
) -> None:
    value: Any = {"bool": True, "float32": 0.7, "uint16": 60_000}.get(dtype, 300 if dtype == "int64" else -1)
    values = np.full((120, 160), value, dtype)
    for image in read_annotations(folder / "annotations.json"):
        write_map((tmp_path / image.file).with_suffix(".npy"), values)
    loaders = make_loaders(folder, 16, workers, "none", 32, maps=tmp_path, engine=engine, start_method="fork")
    for _, maps in loaders.train:
        assert maps.dtype == expected
        assert (maps == maps.new_tensor(values[0, 0].item())).all()
    loaders.close()


def test_a_map_that_the_batch_cannot_hold_is_an_error(tmp_path: Path) -> None:
    write_map(tmp_path / "a.npy", np.zeros((3, 3), np.uint8))
    write_map(tmp_path / "b.npy", np.full((3, 3), 300, np.int16))
    source = MapSource(tmp_path)
    source.get_map("a.jpg", 3, 3)
    with pytest.raises(DataError, match=r"holds 300 \(int16\).*pass maps=MapSource\(folder, dtype='int16'\)"):
        source.get_map("b.jpg", 3, 3)
    wider = MapSource(tmp_path, dtype="int16")
    assert wider.get_map("b.jpg", 3, 3).values.tolist() == [[300] * 3] * 3
    assert wider.get_map("a.jpg", 3, 3).values.dtype == np.int16
    with pytest.raises(DataError, match="numbers of type complex128, expected bool, integers or floats"):
        MapSource(tmp_path, dtype="complex128")


def test_maps_in_memory_are_read_once(image_annotations: Annotations, tmp_path: Path) -> None:
    store_maps(image_annotations, tmp_path)
    source, first = MapSource(tmp_path, in_memory=True), image_annotations[0]
    origins = [source.get_map(first.file, first.width, first.height).origin for _ in range(3)]
    assert origins == [MapOrigin.STORED, MapOrigin.MEMORY, MapOrigin.MEMORY]


def test_a_missing_map_without_annotations_is_an_error(folder: Path, tmp_path: Path) -> None:
    loaders = make_loaders(folder, 4, 0, image_size=16, maps=tmp_path)
    with pytest.raises(
        DataError, match=r"class_.*\.jpg: its map .*\.npy or \.npz does not exist; store_maps"
    ):
        next(iter(loaders.train))


def test_invalid_map_sources_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither a folder nor annotations"):
        MapSource()
    with pytest.raises(ValueError, match=r"suffix '.png', expected one of .npy, .npz"):
        store_maps([], tmp_path, ".png")
    with pytest.raises(FileNotFoundError, match="no such folder of maps"):
        MapSource(tmp_path / "typo", Annotations.from_images([annotated()]))


def test_a_map_of_another_size_is_an_error(tmp_path: Path) -> None:
    write_map((tmp_path / "a.npy"), np.zeros((3, 3), np.uint8))
    with pytest.raises(DataError, match=r"its map has shape \(3, 3\), expected \(8, 9\)"):
        MapSource(tmp_path).get_map("a.jpg", 9, 8)
    with pytest.raises(DataError, match="its annotation is for 8x8 pixels, expected the image's 9x8"):
        MapSource(annotations=Annotations.from_images([annotated()])).get_map("a.jpg", 9, 8)


@pytest.mark.parametrize("file", ["../out.jpg", "/etc/out.jpg"])
def test_a_map_outside_of_the_folder_is_neither_read_nor_written(tmp_path: Path, file: str) -> None:
    (tmp_path / "maps").mkdir()
    with pytest.raises(DataError, match="expected a path inside of"):
        MapSource(tmp_path / "maps").get_map(file, 8, 8)
    with pytest.raises(DataError, match="expected a path inside of"):
        store_maps([annotated(file=file)], tmp_path / "maps")


def test_images_that_would_share_a_map_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.jpg and a\.png would share a map"):
        store_maps([annotated(file="a.jpg"), annotated(file="a.png")], tmp_path)
    write_map(tmp_path / "a.npy", np.zeros((8, 8), np.uint8))
    both = Annotations.from_images([annotated(file="a.jpg"), annotated(file="a.png")])
    with pytest.raises(DataError, match=r"a\.jpg and a\.png would share a map"):
        MapSource(tmp_path, both)
    assert MapSource(annotations=both).drawn_count == 2  # drawn, each has its own


def test_a_map_source_can_be_sent_to_a_worker(image_annotations: Annotations, tmp_path: Path) -> None:
    store_maps(image_annotations, tmp_path)
    source, first = MapSource(tmp_path, image_annotations), image_annotations[0]
    copy = pickle.loads(pickle.dumps(source))  # noqa: S301 - made one line above
    assert copy.get_map(first.file, first.width, first.height).origin == MapOrigin.STORED


@pytest.mark.slow
def test_20000_maps_are_drawn_stored_and_read_back_equal(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    images = [
        annotated(
            *(tuple(map(tuple, rng.uniform(-2, 26, (5, 2)).tolist())) for _ in range(3)),
            size=24,
            file=f"{n}.jpg",
        )
        for n in range(20_000)
    ]
    assert store_maps(images[:10_000], tmp_path, ".npy") == 10_000
    assert store_maps(images, tmp_path, ".npz") == 10_000
    source = MapSource(tmp_path)
    for image in images:
        stored = source.get_map(image.file, 24, 24)
        assert stored.origin == MapOrigin.STORED
        np.testing.assert_array_equal(stored.values, draw_map(image))
