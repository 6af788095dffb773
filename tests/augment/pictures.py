"""Pictures to test with, real and drawn, and how PIL's become tensors."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

COUNT = 12
BICUBIC = Image.Resampling.BICUBIC
SIDES = [(61, 97), (128, 45), (33, 33), (200, 151)]


def drawn_images() -> list[Image.Image]:
    """Smooth colours, saturated patches, hard edges and noise, of odd sizes."""
    rng = np.random.default_rng(0)
    images = []
    for i in range(COUNT):
        height, width = SIDES[i % len(SIDES)]
        coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
        pixels = np.array(coarse.resize((width, height), BICUBIC))
        pixels[height // 3 : height // 2, width // 4 : width // 2] = rng.integers(0, 2, 3) * 255
        pixels[: height // 6] = rng.integers(0, 256, (height // 6, width, 3))
        images.append(Image.fromarray(pixels))
    return images


def real_images(folder: Path) -> list[Image.Image]:
    files = sorted((folder / "imagenet_sample").glob("*.JPEG"))
    images = [Image.open(path).convert("RGB") for path in files[:: len(files) // COUNT][:COUNT]]
    for image in images:
        image.thumbnail((151, 151))
    return images


def tensor(image: Image.Image) -> torch.Tensor:
    """uint8 [h, w, 3]."""
    return torch.from_numpy(np.array(image))


def planar(image: Image.Image) -> torch.Tensor:
    """float32 [1, 3, h, w] in [0, 255]."""
    return tensor(image).permute(2, 0, 1)[None].float()


def level_error(ours: torch.Tensor, theirs: Image.Image) -> torch.Tensor:
    return (ours - planar(theirs)).abs()
