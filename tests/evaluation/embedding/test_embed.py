"""Features as files: what is in them, and that only whole ones are there."""

import csv
import os
from functools import partialmethod
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from dataprep import progress
from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from tests.data.shards import write_small_shards
from tests.evaluation.stand_in import MeanColour
from vicregl_fast.evaluation.chosen_images import open_chosen
from vicregl_fast.evaluation.embedding.config import EmbedConfig
from vicregl_fast.evaluation.embedding.embed import embed
from vicregl_fast.evaluation.embedding.files import check_out
from vicregl_fast.models.backbone import FeatureMaps

RECORD = {"settings": {"size": 32}}
SMALL = EmbedConfig(size=32, batch_size=3, workers=0)


def write_halves(root: Path) -> np.ndarray:
    """Seven images whose halves have colours of their own, in two class folders; the colours, [7, 2, 3]."""
    colours = np.random.default_rng(0).integers(0, 256, (7, 2, 3))
    for index, (left, right) in enumerate(colours):
        pixels = np.repeat(np.stack([left, right])[None], 64, 0).repeat((40, 40), 1).astype(np.uint8)
        folder = root / ("even" if index < 4 else "odd, or not")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return colours


def normalised(colours: np.ndarray) -> np.ndarray:
    return (colours / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)


def rows_of(out: Path) -> list[list[str]]:
    with (out / "paths.csv").open(newline="") as lines:
        return list(csv.reader(lines))


@pytest.mark.parametrize("bar", [True, False])
def test_features_and_maps_are_those_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bar: bool) -> None:
    """Also where no progress is shown."""
    if not bar:
        monkeypatch.setattr(progress.tqdm, "__init__", partialmethod(progress.tqdm.__init__, disable=True))
    colours = write_halves(tmp_path / "images")
    out = tmp_path / "new" / "out"
    written = embed(
        MeanColour(stride=4).eval(), open_chosen(tmp_path / "images", None), out, SMALL, maps=True, record=RECORD
    )
    assert written == [out / "features.npy", out / "maps.npy", out / "paths.csv", out / "settings.json"]
    assert sorted(path.name for path in out.iterdir()) == ["features.npy", "maps.npy", "paths.csv", "settings.json"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    features, maps = np.load(out / "features.npy"), np.load(out / "maps.npy", mmap_mode="r")
    assert features.dtype == np.float32 and features.shape == (7, 3)
    assert maps.dtype == np.float16 and maps.shape == (7, 3, 8, 8)
    assert np.allclose(features, normalised(colours).mean(1), atol=0.02)
    for side, columns in ((0, slice(0, 3)), (1, slice(5, 8))):
        expected = normalised(colours[:, side])[:, :, None, None]
        assert np.allclose(maps[:, :, :, columns], np.broadcast_to(expected, (7, 3, 8, 3)), atol=0.02)
    assert rows_of(out) == [
        ["row", "path", "label", "class"],
        *([str(index), f"even/{index}.png", "0", "even"] for index in range(4)),
        *([str(index), f"odd, or not/{index}.png", "1", "odd, or not"] for index in range(4, 7)),
    ]


def test_a_store_gives_the_features_of_its_folder(tmp_path: Path) -> None:
    write_halves(tmp_path / "images")
    write_store(list_images(tmp_path / "images"), tmp_path / "s.beton", mode="raw", workers=1)
    for name, path in (("folder", tmp_path / "images"), ("store", tmp_path / "s.beton")):
        embed(MeanColour().eval(), open_chosen(path, None), tmp_path / name, SMALL, maps=False, record=RECORD)
    folder, store = (np.load(tmp_path / name / "features.npy") for name in ("folder", "store"))
    assert np.abs(folder - store).max() < 0.02
    assert rows_of(tmp_path / "store") == rows_of(tmp_path / "folder")
    assert not (tmp_path / "store" / "maps.npy").exists()


def test_shards_give_the_features_of_their_folder(tmp_path: Path) -> None:
    """Several batches of an engine that decodes into the same memory again and again."""
    pytest.importorskip("nvidia.dali")
    colours = write_halves(tmp_path / "images")
    write_small_shards(list_images(tmp_path / "images"), tmp_path / "shards", 1)
    embed(
        MeanColour().eval(),
        open_chosen(tmp_path / "shards", None),
        tmp_path / "out",
        SMALL,
        maps=False,
        record=RECORD,
    )
    assert np.allclose(np.load(tmp_path / "out" / "features.npy"), normalised(colours).mean(1), atol=0.1)


def test_images_without_classes_have_empty_columns(tmp_path: Path) -> None:
    write_halves(tmp_path / "images")
    embed(
        MeanColour().eval(),
        open_chosen(tmp_path / "images" / "even", None),
        tmp_path / "out",
        SMALL,
        maps=False,
        record=RECORD,
    )
    assert rows_of(tmp_path / "out")[1:] == [[str(index), f"{index}.png", "", ""] for index in range(4)]


def test_odd_names_keep_their_rows(tmp_path: Path) -> None:
    names = ["a,b.png", 'a"b.png', "a\nb.png", "a\rb.png"]
    (tmp_path / "images").mkdir()
    for name in names:
        Image.new("RGB", (32, 32)).save(tmp_path / "images" / name)
    chosen = open_chosen(tmp_path / "images", None)
    embed(MeanColour().eval(), chosen, tmp_path / "out", SMALL, maps=False, record=RECORD)
    assert [row[1] for row in rows_of(tmp_path / "out")[1:]] == sorted(names)


def test_what_fails_half_way_leaves_nothing_and_what_was_there(tmp_path: Path) -> None:
    write_halves(tmp_path / "images")
    opened = open_chosen(tmp_path / "images", None)
    embed(MeanColour().eval(), opened, tmp_path / "old", SMALL, maps=False, record=RECORD)
    before = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()}
    (tmp_path / "images" / "odd, or not" / "6.png").write_bytes(b"no image")
    for name in ("new", "old"):
        with pytest.raises(UserError, match=r"6\.png does not decode"):
            embed(MeanColour().eval(), opened, tmp_path / name, SMALL, maps=True, record=RECORD)
    assert {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "old"]


def test_a_folder_is_replaced_only_when_told_and_never_one_with_other_things(tmp_path: Path) -> None:
    write_halves(tmp_path / "images")
    out = tmp_path / "out"
    check_out(out, overwrite=False)
    embed(MeanColour().eval(), open_chosen(tmp_path / "images", None), out, SMALL, maps=True, record=RECORD)
    with pytest.raises(UserError, match="out holds features already; give --overwrite"):
        check_out(out, overwrite=False)
    check_out(out, overwrite=True)
    embed(MeanColour().eval(), open_chosen(tmp_path / "images" / "even", None), out, SMALL, maps=False, record=RECORD)
    assert len(np.load(out / "features.npy")) == 4 and not (out / "maps.npy").exists()
    (out / "notes.txt").touch()
    with pytest.raises(UserError, match=r"other things in it, such as notes\.txt"):
        check_out(out, overwrite=True)
    with pytest.raises(UserError, match="is a file"):
        check_out(out / "notes.txt", overwrite=True)


def test_too_little_space_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_halves(tmp_path / "images")
    opened = open_chosen(tmp_path / "images", None)
    needed = 7 * 3 * 4 + 7 * 3 * 8 * 8 * 2
    disk = SimpleNamespace(f_bavail=needed - 1, f_frsize=1, f_blocks=1)
    monkeypatch.setattr(os, "statvfs", lambda path: disk)
    with pytest.raises(UserError, match=r"out will take .* GiB, and its disk has .* GiB free; .* leave --maps out"):
        embed(MeanColour().eval(), opened, tmp_path / "out", SMALL, maps=True, record=RECORD)
    assert not (tmp_path / "out").exists()
    disk.f_bavail = needed
    embed(MeanColour().eval(), opened, tmp_path / "out", SMALL, maps=True, record=RECORD)

    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"cannot write .*other: No space left on device"):
        embed(MeanColour().eval(), opened, tmp_path / "other", SMALL, maps=True, record=RECORD)


class Huge(MeanColour):
    """Its map is beyond float16."""

    def forward(self, images: torch.Tensor) -> FeatureMaps:
        made = super().forward(images)
        return FeatureMaps(made.map * 1e6, made.pooled)


def test_maps_that_float16_does_not_hold_are_refused(tmp_path: Path) -> None:
    write_halves(tmp_path / "images")
    with pytest.raises(UserError, match="beyond float16"):
        embed(Huge().eval(), open_chosen(tmp_path / "images", None), tmp_path / "out", SMALL, maps=True, record=RECORD)
    assert not (tmp_path / "out").exists()
