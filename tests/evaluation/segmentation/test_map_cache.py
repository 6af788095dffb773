"""Maps of whole images, kept in memory or in a file."""

from collections import namedtuple
from pathlib import Path

import pytest
import torch

from dataprep.errors import UserError
from tests.evaluation.segmentation.test_linear_segmentation import write_masked
from tests.evaluation.stand_in import MeanColour
from vicregl_fast.evaluation.segmentation import map_cache
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures
from vicregl_fast.evaluation.segmentation.map_cache import CachedMaps, KeptMaps
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages


def cached_maps(data: MaskedImages, stride: int = 8, **changes) -> CachedMaps:
    features = SegmentationFeatures(MeanColour(stride).eval(), "last")
    return CachedMaps(
        **{"chosen": range(len(data)), "base_size": None, "workers": 0} | changes, features=features, data=data
    )


def test_cached_masks_are_every_fourth_pixel_and_maps_the_whole_image(tmp_path: Path) -> None:
    data = write_masked(tmp_path, 2, seed=0)
    cached = cached_maps(data)
    assert torch.equal(cached.masks[1].long(), data[1].mask[2::4, 2::4])
    # A block is one cell, and its strongest channel its class.
    assert torch.equal(cached.maps[1].argmax(0), data[1].mask[4::8, 4::8])
    (chosen,) = cached_maps(data, chosen=[1]).masks
    assert torch.equal(chosen, cached.masks[1])


def test_images_are_resized_within_the_base_size(tmp_path: Path) -> None:
    """Of 48×48 pixels, within 200×96: maps of 12×12 cells in place of 6×6, masks of 24×24 in place of 12×12."""
    data = write_masked(tmp_path, 1, seed=0)
    cached = cached_maps(data, base_size=(200, 96))
    assert cached.maps.shapes == [(3, 12, 12)]
    assert torch.equal(cached.masks[0].long(), data[0].mask[1::2, 1::2])
    assert torch.equal(cached.maps[0].argmax(0)[1::2, 1::2], data[0].mask[6::8, 6::8])


def test_cached_batches_go_on_into_further_epochs(tmp_path: Path) -> None:
    batches = list(cached_maps(write_masked(tmp_path, 5, seed=0)).batches(batch_size=2, iterations=7, seed=0))
    assert [len(maps) for maps, _ in batches] == [2, 2, 1, 2, 2, 1, 2]
    assert batches[0][0].dtype == torch.float32 and batches[0][1].dtype == torch.int64
    assert not torch.equal(batches[0][1], batches[3][1])


@pytest.mark.parametrize(("available", "from_map"), [(0, 16), (11000, 20), (1 << 40, None)])
def test_maps_that_memory_does_not_hold_are_kept_in_a_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    available: int,
    from_map: int | None,
) -> None:
    """Maps that grow, so that the first sixteen of 30 foretell too little.

    Map n has 24·(n + 2) bytes, and n maps 12·n·(n + 3), of which all are foretold to take 30·12·(n + 3). With twenty
    these are 8280, more than half of 5520 and 11000, which were free before; with nineteen 7920, less than half of 5016
    and 11000.
    """
    monkeypatch.setattr(map_cache, "available_memory", lambda: available)
    draw = torch.Generator().manual_seed(0)
    maps = [torch.randn(4, 3, 2 + number, generator=draw).bfloat16() for number in range(30)]
    kept = KeptMaps(30, tmp_path)
    for number, each in enumerate(maps):
        assert kept.in_file == (from_map is not None and number >= from_map)
        kept.append(each)
    assert all(torch.equal(kept[number], maps[number]) for number in (29, 0, 17, 16, 3))
    said = "the maps of 30 images take about 0.0 GiB, more than 50% of the free memory: they are kept in a file in "
    assert (f"{said}{tmp_path}" in capsys.readouterr().err) == (from_map is not None)
    assert list(tmp_path.iterdir()) == []  # it has no name


def test_maps_for_which_there_is_no_space_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_cache, "available_memory", lambda: 1 << 30)
    disk = namedtuple("disk", "f_blocks f_bavail f_frsize")(1 << 21, 1 << 20, 1 << 10)
    monkeypatch.setattr(map_cache.os, "statvfs", lambda _: disk)
    kept = KeptMaps(3 << 20, tmp_path)
    with pytest.raises(UserError, match=r"3145728 images take about 1.5 GiB, .* has 1.0 GiB free: give a --cache"):
        for _ in range(16):
            kept.append(torch.zeros(256, 1, 1).bfloat16())


def test_a_disk_that_fills_up_ends_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(map_cache, "available_memory", lambda: 1)
    monkeypatch.setattr(map_cache.os, "write", full)
    with pytest.raises(UserError, match=r"maps cannot be kept in .* \(No space left on device\): give a --cache"):
        KeptMaps(1, tmp_path).append(torch.zeros(1, 1, 1).bfloat16())


def test_a_folder_that_takes_no_files_ends_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(map_cache, "available_memory", lambda: 1)
    monkeypatch.setattr(map_cache.tempfile, "TemporaryFile", refused)
    with pytest.raises(UserError, match=r"maps cannot be kept in .* \(Permission denied\): give a --cache_folder"):
        KeptMaps(1, tmp_path).append(torch.zeros(1, 1, 1).bfloat16())


def test_the_file_is_learned_from_as_memory_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_masked(tmp_path / "data", 5, seed=0)
    in_memory = list(cached_maps(data).batches(2, 4, seed=0))
    monkeypatch.setattr(map_cache, "available_memory", lambda: 1)
    cached = cached_maps(data, folder=tmp_path)
    assert cached.maps.in_file
    for (maps, masks), (right_maps, right_masks) in zip(cached.batches(2, 4, seed=0), in_memory, strict=True):
        assert torch.equal(maps, right_maps) and torch.equal(masks, right_masks)
