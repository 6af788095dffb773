"""Maps in memory, or in a file where memory does not suffice."""

from collections import namedtuple
from pathlib import Path

import pytest
import torch

from dataprep.errors import UserError
from vicregl_fast.evaluation.segmentation import kept_maps
from vicregl_fast.evaluation.segmentation.kept_maps import KeptMaps


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
    monkeypatch.setattr(kept_maps, "available_memory", lambda: available)
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
    monkeypatch.setattr(kept_maps, "available_memory", lambda: 1 << 30)
    disk = namedtuple("disk", "f_blocks f_bavail f_frsize")(1 << 21, 1 << 20, 1 << 10)
    monkeypatch.setattr(kept_maps.os, "statvfs", lambda _: disk)
    kept = KeptMaps(3 << 20, tmp_path)
    with pytest.raises(UserError, match=r"3145728 images take about 1.5 GiB, .* has 1.0 GiB free: give a --cache"):
        for _ in range(16):
            kept.append(torch.zeros(256, 1, 1).bfloat16())


def test_a_disk_that_fills_up_ends_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_maps, "available_memory", lambda: 1)
    monkeypatch.setattr(kept_maps.os, "write", full)
    with pytest.raises(UserError, match=r"maps cannot be kept in .* \(No space left on device\): give a --cache"):
        KeptMaps(1, tmp_path).append(torch.zeros(1, 1, 1).bfloat16())


def test_a_folder_that_takes_no_files_ends_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(kept_maps, "available_memory", lambda: 1)
    monkeypatch.setattr(kept_maps.tempfile, "TemporaryFile", refused)
    with pytest.raises(UserError, match=r"maps cannot be kept in .* \(Permission denied\): give a --cache_folder"):
        KeptMaps(1, tmp_path).append(torch.zeros(1, 1, 1).bfloat16())
