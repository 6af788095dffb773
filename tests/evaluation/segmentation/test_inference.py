"""The sliding window beside a slow one."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from vicregl_fast.evaluation.segmentation.inference import segment, window_starts


def logits(pixels: Tensor) -> Tensor:
    """Differ with the window in which a pixel is seen."""
    cells = avg_pool2d(pixels.float(), 4, ceil_mode=True)
    cells = cells - cells.mean((2, 3), keepdim=True)
    return interpolate(cells, pixels.shape[2:], mode="bilinear", align_corners=False)


@pytest.mark.parametrize("size", [(40, 61), (16, 24), (10, 50), (9, 7), (23, 35)])
def test_the_window_is_the_slow_one(size: tuple[int, int]) -> None:
    """Rows and columns one by one until the window has reached the end, where it is shifted inside."""
    pixels = torch.randint(256, (3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    window, stride = (16, 24), 11
    total, count = torch.zeros(1, 3, *size), torch.zeros(size)
    top = 0
    while True:
        bottom = min(top + window[0], size[0])
        left = 0
        while True:
            right = min(left + window[1], size[1])
            rows, columns = slice(max(bottom - window[0], 0), bottom), slice(max(right - window[1], 0), right)
            total[:, :, rows, columns] += logits(pixels[None, :, rows, columns])
            count[rows, columns] += 1
            if right == size[1]:
                break
            left += stride
        if bottom == size[0]:
            break
        top += stride
    assert (count > 0).all()
    torch.testing.assert_close(segment(logits, pixels, window, stride), total / count)


def test_windows_end_with_the_side() -> None:
    assert window_starts(512, 512, 341) == [0]
    assert window_starts(513, 512, 341) == [0, 1]
    assert window_starts(683, 512, 341) == [0, 171]
    assert window_starts(2048, 512, 341) == [0, 341, 682, 1023, 1364, 1536]
    assert window_starts(100, 512, 341) == [0]


def test_without_a_window_the_image_is_seen_whole() -> None:
    pixels = torch.randint(256, (3, 20, 30), dtype=torch.uint8)
    assert torch.equal(segment(logits, pixels, None, 11), logits(pixels[None]))
