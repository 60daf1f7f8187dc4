"""Render one photo-like image: a natural spectrum, textured objects with soft edges, sensor noise.

Each image depends on (seed, number) alone, so threads may render them in any order.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Floats = NDArray[np.float32]
Point = tuple[float, float]

# ImageNet's most common sizes, with about their frequencies; the mean is near 500x375.
NATURAL_SIZES = (
    (500, 375),
    (375, 500),
    (500, 333),
    (333, 500),
    (500, 500),
    (400, 300),
    (640, 480),
    (500, 400),
)
NATURAL_SIZE_SHARES = (0.46, 0.12, 0.14, 0.06, 0.08, 0.05, 0.05, 0.04)

# Slopes of the amplitude spectrum; natural scenes are near 1 / f.
SPECTRUM_SLOPES = (0.95, 1.1, 1.3)
KEYPOINTS_PER_OBJECT = 4


@dataclass(frozen=True, slots=True)
class SyntheticObject:
    """One object of an image: its outline, its box and points on it, in pixels."""

    label: int
    polygon: tuple[Point, ...]
    box: tuple[float, float, float, float]
    keypoints: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class SceneTextures:
    """Large random fields, generated once per seed; every image takes its textures from crops of them."""

    brightness: tuple[Floats, ...]
    tint: tuple[Floats, ...]
    noise: Floats

    @classmethod
    def generate(cls, seed: int, largest: tuple[int, int]) -> SceneTextures:
        side = max(1024, *(side * 5 // 4 for side in largest))
        rng = np.random.default_rng([seed, 0])
        brightness = tuple(_natural_field(rng, side, slope) for slope in SPECTRUM_SLOPES)
        tint = tuple(_natural_field(rng, side, 1.4) for _ in range(2))
        return cls(brightness, tint, rng.standard_normal((side, side, 3), dtype=np.float32))

    def crop(self, field: Floats, rng: np.random.Generator, width: int, height: int) -> Floats:
        top = int(rng.integers(0, field.shape[0] - height + 1))
        left = int(rng.integers(0, field.shape[1] - width + 1))
        piece = field[top : top + height, left : left + width]
        if rng.random() < 0.5:
            piece = piece[:, ::-1]
        return piece


def render_image(
    textures: SceneTextures, seed: int, number: int, label: int, classes: int, size: tuple[int, int] | None
) -> tuple[Image.Image, tuple[SyntheticObject, ...]]:
    """Render one image of a class; its objects have the hue and the number of corners of the class."""
    rng = np.random.default_rng([seed, 1, number])
    width, height = size or NATURAL_SIZES[rng.choice(len(NATURAL_SIZES), p=NATURAL_SIZE_SHARES)]
    pixels = _render_background(textures, rng, width, height)
    objects = []
    for _ in range(int(rng.integers(1, 5))):
        thing = _random_object(rng, label, width, height)
        _blend_object(pixels, textures, rng, thing, _class_color(rng, label, classes))
        objects.append(thing)
    _add_sensor_noise(pixels, textures, rng)
    return Image.fromarray(pixels.astype(np.uint8)), tuple(objects)


def _natural_field(rng: np.random.Generator, side: int, slope: float) -> Floats:
    """Periodic noise with amplitude 1 / frequency**slope, mean 0 and standard deviation 1."""
    spectrum = np.fft.rfft2(rng.standard_normal((side, side), dtype=np.float32))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = 1.0
    spectrum /= frequency**slope
    spectrum[0, 0] = 0.0
    field = np.fft.irfft2(spectrum, s=(side, side))
    field /= field.std()
    return np.asarray(field, np.float32)


def _render_background(textures: SceneTextures, rng: np.random.Generator, width: int, height: int) -> Floats:
    field = textures.brightness[int(rng.integers(len(textures.brightness)))]
    light = textures.crop(field, rng, width, height) * np.float32(rng.uniform(30, 48))
    light += np.float32(rng.uniform(95, 150))
    warm, cool = (textures.crop(field, rng, width, height) for field in textures.tint)
    pixels = np.empty((height, width, 3), np.float32)
    strength = np.float32(rng.uniform(6, 16))
    np.add(light, warm * strength, out=pixels[:, :, 0])
    pixels[:, :, 1] = light
    np.add(light, cool * strength, out=pixels[:, :, 2])
    return pixels


def _random_object(rng: np.random.Generator, label: int, width: int, height: int) -> SyntheticObject:
    corners = 3 + label % 6
    radius = float(rng.uniform(0.12, 0.3)) * min(width, height)
    x = float(rng.uniform(radius, width - radius))
    y = float(rng.uniform(radius, height - radius))
    angles = np.sort((np.arange(corners) + rng.uniform(-0.25, 0.25, corners)) * (2 * np.pi / corners))
    angles += rng.uniform(0, 2 * np.pi)
    reach = radius * rng.uniform(0.75, 1.0, corners)
    points = tuple(
        (round(float(x + r * np.cos(a)), 2), round(float(y + r * np.sin(a)), 2))
        for a, r in zip(angles, reach, strict=True)
    )
    across, down = zip(*points, strict=True)
    center = (round(x, 2), round(y, 2))
    keypoints = (center, *points, *points)[:KEYPOINTS_PER_OBJECT]
    return SyntheticObject(label, points, (min(across), min(down), max(across), max(down)), keypoints)


def _class_color(rng: np.random.Generator, label: int, classes: int) -> Floats:
    hue = (label + float(rng.uniform(-0.3, 0.3))) / max(classes, 1)
    red_green_blue = colorsys.hsv_to_rgb(
        hue % 1.0, float(rng.uniform(0.55, 0.9)), float(rng.uniform(0.6, 0.95))
    )
    return np.asarray(red_green_blue, np.float32) * np.float32(255)


def _blend_object(
    pixels: Floats, textures: SceneTextures, rng: np.random.Generator, thing: SyntheticObject, color: Floats
) -> None:
    """Blend the object in through a soft-edged mask, with its own texture."""
    left, top = (max(0, int(edge) - 3) for edge in thing.box[:2])
    right, bottom = int(thing.box[2]) + 4, int(thing.box[3]) + 4
    patch = pixels[top:bottom, left:right]
    height, width = patch.shape[:2]
    outline = Image.new("L", (width, height))
    ImageDraw.Draw(outline).polygon([(x - left, y - top) for x, y in thing.polygon], fill=255)
    soft = outline.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.6, 1.2))))
    mask = np.asarray(soft, np.float32)[:, :, None] / np.float32(255)
    texture = textures.crop(textures.brightness[0], rng, width, height)[:, :, None]
    surface = color + texture * np.float32(rng.uniform(14, 28))
    patch += mask * (surface - patch)


def _add_sensor_noise(pixels: Floats, textures: SceneTextures, rng: np.random.Generator) -> None:
    """Add sensor noise, which takes most of the bytes of a photo's JPEG."""
    height, width = pixels.shape[:2]
    noise = textures.crop(textures.noise, rng, width, height)
    pixels += noise * np.float32(rng.uniform(3.0, 7.5))
    np.clip(pixels, 0, 255, out=pixels)
