"""Small image files of every kind that a source may hold, drawn, never downloaded."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def smooth(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 RGB [height, width, 3] whose channels are waves: JPEG keeps them to within a few levels."""
    phase = np.random.default_rng(seed).uniform(0, 6, (3, 3))
    y, x = np.mgrid[:height, :width] / 20.0
    waves = [np.sin(a + x * 0.7) + np.sin(b + y * 0.9) + np.sin(c + (x + y) * 0.3) for a, b, c in phase]
    return np.round(127.5 + 40 * np.stack(waves, axis=2)).clip(0, 255).astype(np.uint8)


def write_jpeg(path: Path, height: int = 40, width: int = 60, seed: int = 0, **options: object) -> bytes:
    """Writes a picture as JPEG of quality 95, making its folder, and returns the file's bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    Image.fromarray(smooth(height, width, seed)).save(buffer, "JPEG", **{"quality": 95, **options})
    path.write_bytes(buffer.getvalue())
    return buffer.getvalue()


def odd_images() -> dict[str, Image.Image]:
    """File name -> a picture of 40x60 pixels in a mode that is not RGB, or in a format that is not JPEG."""
    image = Image.fromarray(smooth(40, 60))
    alpha = image.copy()
    alpha.putalpha(Image.fromarray(np.linspace(0, 255, 40 * 60).reshape(40, 60).astype(np.uint8)))
    return {
        "grey.jpg": image.convert("L"),
        "cmyk.jpg": image.convert("CMYK"),
        "palette.png": image.quantize(64),
        "bits.png": image.convert("1"),
        "alpha.png": alpha,
        "grey_alpha.png": alpha.convert("LA"),
        "plain.webp": image,
    }


def write_tree(folder: Path, classes: tuple[str, ...] = ("ant", "bee"), each: int = 3) -> dict[str, bytes]:
    """Class folders of JPEGs of different sizes: relative path -> bytes, in the order of a source."""
    return {
        f"{name}/{i}.jpg": write_jpeg(folder / name / f"{i}.jpg", 30 + 7 * i, 50 + 9 * k, seed=10 * k + i)
        for k, name in enumerate(classes)
        for i in range(each)
    }
