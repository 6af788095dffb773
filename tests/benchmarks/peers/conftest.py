"""What peers are given in the tests: a few JPEGs, and a view that is the whole image, made smaller."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import drawn_image
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.benchmarks.peers.work import PeerWork
from vicregl_fast.geometry.crop_rule import CropRule

SIDE, VIEW = 64, 32
WHOLE = ViewRecipe(
    VIEW, CropRule((1.0, 1.0), (1.0, 1.0)), 0.0, 0.0, flip_probability=0, jitter_probability=0, grey_probability=0
)
SOLARISED = replace(WHOLE, solarise_probability=1.0)


def jpeg(index: int, height: int = SIDE, width: int = SIDE) -> bytes:
    file = io.BytesIO()
    Image.fromarray(drawn_image(index, height, width)).save(file, "JPEG", quality=95)
    return file.getvalue()


def pixels(image: bytes) -> np.ndarray:
    """As Pillow decodes it, uint8 [H, W, 3]."""
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))


def smaller(image: bytes) -> np.ndarray:
    """The whole image as a view, uint8 [VIEW, VIEW, 3]."""
    return np.asarray(Image.fromarray(pixels(image)).resize((VIEW, VIEW), Image.Resampling.BICUBIC))


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """The mean difference in levels."""
    assert first.shape == second.shape
    return float(np.abs(first.astype(int) - second.astype(int)).mean())


@pytest.fixture
def work() -> PeerWork:
    """Two batches of three square images, of which a plain and a solarised view are to be made."""
    images = [jpeg(index) for index in range(6)]
    return PeerWork([images[:3], images[3:]], (WHOLE, SOLARISED), (2, 2), 2, torch.device("cpu"))
