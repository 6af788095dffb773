"""The sliding window beside a slow one."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pad

from vicregl_fast.evaluation.segmentation import inference
from vicregl_fast.evaluation.segmentation.inference import segment, window_starts


class Cells:
    """Maps that differ with the window in which a pixel is seen, of images padded to multiples of four."""

    def __call__(self, pixels: Tensor) -> Tensor:
        height, width = self.covered(*pixels.shape[2:])
        cells = avg_pool2d(pad(pixels.float(), (0, width - pixels.shape[3], 0, height - pixels.shape[2])), 4)
        return cells - cells.mean((2, 3), keepdim=True)

    @staticmethod
    def covered(height: int, width: int) -> tuple[int, int]:
        return -(-height // 4) * 4, -(-width // 4) * 4


def twice(maps: Tensor) -> Tensor:
    return 2 * maps


def logits(pixels: Tensor) -> Tensor:
    size = Cells.covered(*pixels.shape[2:])
    large = interpolate(Cells()(pixels), size, mode="bilinear", align_corners=False)
    return large[:, :, : pixels.shape[2], : pixels.shape[3]]


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
    once, double = segment(Cells(), [nn.Identity(), twice], pixels, window, stride)  # type: ignore[arg-type]
    torch.testing.assert_close(once, total / count)
    torch.testing.assert_close(double, 2 * total / count)


def test_large_logits_are_those_of_one_head_and_one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several heads and windows, all at once would take gigabytes."""
    made, resize = [], inference.resize_logits

    def counted(at_cells: Tensor, size: tuple[int, int]) -> Tensor:
        made.append((*at_cells.shape[:2], *size))
        return resize(at_cells, size)

    monkeypatch.setattr(inference, "resize_logits", counted)
    heads = segment(Cells(), [nn.Identity(), twice], torch.zeros(3, 16, 60, dtype=torch.uint8), (16, 24), 12)  # type: ignore[arg-type]
    next(heads)
    assert made == [(1, 3, 16, 24)] * 4
    next(heads)
    assert made == [(1, 3, 16, 24)] * 8


def test_windows_end_with_the_side() -> None:
    assert window_starts(512, 512, 341) == [0]
    assert window_starts(513, 512, 341) == [0, 1]
    assert window_starts(683, 512, 341) == [0, 171]
    assert window_starts(2048, 512, 341) == [0, 341, 682, 1023, 1364, 1536]
    assert window_starts(100, 512, 341) == [0]


def test_without_a_window_the_image_is_seen_whole() -> None:
    pixels = torch.randint(256, (3, 20, 30), dtype=torch.uint8)
    (found,) = segment(Cells(), [nn.Identity()], pixels, None, 11)  # type: ignore[arg-type]
    assert torch.equal(found, logits(pixels[None]))
