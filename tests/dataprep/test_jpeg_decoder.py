"""The quick check of a JPEG sees what a decoding at full size sees."""

import io

import numpy as np
import pytest
from PIL import Image

from dataprep.jpeg_decoder import decodes
from dataprep.libffcv import imdecode
from tests.dataprep.pictures import smooth


def jpeg(height: int, width: int, **options: object) -> bytes:
    noise = np.random.default_rng(height).normal(0, 12, (height, width, 3))
    picture = np.clip(smooth(height, width, height) + noise, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def decodes_at_full_size(data: bytes, height: int, width: int) -> bool:
    pixels = np.empty((height, width, 3), np.uint8)
    return imdecode()(data, len(data), height, width, pixels.ctypes.data, height, width, 0, 0, 1, 1, False, False) == 0


def damaged(data: bytes, generator: np.random.Generator) -> bytes:
    """Cut off somewhere, or with one to three bits turned over, from byte 200 on."""
    if generator.random() < 0.3:
        return data[: generator.integers(200, len(data))]
    turned = bytearray(data)
    for _ in range(generator.integers(1, 4)):
        turned[generator.integers(200, len(data))] ^= 1 << int(generator.integers(8))
    return bytes(turned)


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 0, "quality": 95}, {"restart_marker_blocks": 5}],
    ids=["baseline", "progressive", "no subsampling", "restart markers"],
)
def test_damage_is_seen_as_at_full_size(options: dict) -> None:
    generator = np.random.default_rng(5)
    whole = 0
    for size in (60, 75, 101):
        data = jpeg(size, size + 30, **options)
        assert decodes(data, size, size + 30)
        for _ in range(150):
            broken = damaged(data, generator)
            verdict = decodes(broken, size, size + 30)
            assert verdict == decodes_at_full_size(broken, size, size + 30)
            whole += verdict
    assert 20 < whole < 430


@pytest.mark.parametrize("cut", [0.5, 0.9, 0.99])
def test_a_cut_jpeg_is_not_whole(cut: float) -> None:
    data = jpeg(200, 300)
    assert not decodes(data[: int(cut * len(data))], 200, 300)
    assert not decodes(data[: int(cut * len(data))] + b"\xff\xd9", 200, 300)


@pytest.mark.parametrize("side", [1, 7, 8, 9, 17, 500])
def test_every_size_decodes(side: int) -> None:
    for other in (1, 8, 31):
        assert decodes(jpeg(side, other), side, other)
        assert decodes(jpeg(other, side), other, side)
