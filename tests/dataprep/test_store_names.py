"""A store knows what its images are called, also far from the folder that it was made from."""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from dataprep.adopt import adopt_store
from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.manifest import manifest_path, read_manifest
from dataprep.sources import list_images
from dataprep.store_names import names_path, read_names
from dataprep.verify import verify_store
from dataprep.webdataset_store import write_shards
from tests.dataprep.foreign_stores import jpeg, write_tar
from vicregl_fast.data.stored_images import open_stored
from vicregl_fast.evaluation.chosen_images import open_chosen

ODD = ("a/1.png", "a/two words.png", "b/lines\nof.png", 'b/ünï "x".png', os.fsdecode(b"b/\xff.png"))
WRITERS = {"s.beton": write_store, "shards": write_shards}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images with odd names, and one that is none."""
    for number, name in enumerate(ODD):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), (40 * number, 0, 0)).save(path)
    (tmp_path / "images" / "a" / "broken.png").write_bytes(b"no image")
    return tmp_path / "images"


@pytest.fixture(params=list(WRITERS))
def store(request: pytest.FixtureRequest, folder: Path) -> Path:
    """Made of them, without the broken one."""
    return written(request.param, folder)


def written(name: str, folder: Path) -> Path:
    write: Callable = WRITERS[name]
    write(list_images(folder), folder.parent / name, on_error="skip", workers=1)
    return folder.parent / name


def test_names_stay_when_the_folder_goes(store: Path, folder: Path, capsys: pytest.CaptureFixture) -> None:
    verify_store(store, sample=5, workers=1)
    assert "is gone" not in capsys.readouterr().err
    expected = [file for file in list_images(folder).files if file in ODD]
    shutil.rmtree(folder)
    assert list(read_names(store)) == expected and sorted(expected) == sorted(ODD)


def test_a_store_without_them_is_whole_and_has_those_of_its_folder(
    store: Path, folder: Path, capsys: pytest.CaptureFixture
) -> None:
    names = read_names(store)
    names_path(store).unlink()
    open_stored(store)
    verify_store(store, sample=0, workers=1)
    assert re.search(r"names\.jsonl is gone: lists can choose images of .* only while .*images is there", noted(capsys))
    assert read_names(store) == names
    replace(read_manifest(store), names_sha256="").write(manifest_path(store))  # as one of an earlier version
    verify_store(store, sample=0, workers=1)
    assert not noted(capsys) and read_names(store) == names
    (folder / "a" / "1.png").rename(folder / "a" / "z.png")  # as many, with the same labels, in another order
    with pytest.raises(UserError, match=r"since .*images has others than it was made from"):
        read_names(store)
    shutil.rmtree(folder)
    with pytest.raises(UserError, match=r"neither .*names\.jsonl nor the folder .*images, is there"):
        read_names(store)
    replace(read_manifest(store), source="").write(manifest_path(store))
    with pytest.raises(UserError, match=r"nothing says what .* called: (.* another program has no names|move its)"):
        read_names(store)


def noted(capsys: pytest.CaptureFixture) -> str:
    return "".join(line for line in capsys.readouterr().err.splitlines() if line.startswith("note: "))


def test_names_of_another_store_are_not_taken(store: Path, folder: Path, tmp_path: Path) -> None:
    write_store(list_images(folder / "a"), tmp_path / "other.beton", on_error="skip", workers=1)
    shutil.copy(names_path(tmp_path / "other.beton"), names_path(store))
    with pytest.raises(UserError, match=r"names\.jsonl is not of the store "):
        read_names(store)
    with pytest.raises(UserError, match=r"names\.jsonl is not of the store "):
        verify_store(store, sample=0, workers=1)


def test_a_store_that_is_replaced_has_its_own(folder: Path) -> None:
    store = written("s.beton", folder)
    (folder / "a" / "1.png").unlink()
    write_store(list_images(folder), store, on_error="skip", workers=1, overwrite=True)
    assert len(read_names(store)) == 4 and "a/1.png" not in read_names(store)
    assert sorted(path.name for path in store.parent.glob("*s.beton*")) == [
        "s.beton", "s.beton.json", "s.beton.names.jsonl",
    ]  # fmt: skip


def test_adopted_shards_have_their_members_names(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    write_tar(folder / "0.tar", {"./ant/7.JPEG": jpeg(0), "./ant/7.cls": b"0", "bee/x.jpg": jpeg(1), "bee/x.cls": b"1"})
    write_tar(folder / "1.tar", {"ant/8.jpg": b"no image", "ant/8.cls": b"0", "ant/9.JPG": jpeg(2), "ant/9.cls": b"0"})
    adopt_store(folder, workers=1, on_error="skip")
    assert read_names(folder) == ("ant/7.JPEG", "bee/x.jpg", "ant/9.JPG")
    verify_store(folder, sample=0, workers=1)
    for text, numbers in {"ant/9\nx.jpg\n": [2, 1], "7.JPEG 0\n": [0], "./ant/7.JPEG\nant/9.JPG": [0, 2]}.items():
        (tmp_path / "list").write_text(text)
        assert open_chosen(folder, tmp_path / "list").indices.tolist() == numbers


def test_members_that_shards_repeat_are_told_apart(tmp_path: Path) -> None:
    write_tar(tmp_path / "s" / "0.tar", {"0.jpg": jpeg(0), "a/1.jpg": jpeg(1)})
    write_tar(tmp_path / "s" / "1.tar", {"0.jpg": jpeg(2)})
    adopt_store(tmp_path / "s", workers=1)
    assert read_names(tmp_path / "s") == ("0.tar/0.jpg", "a/1.jpg", "1.tar/0.jpg")


def test_a_store_that_lost_its_manifest_has_its_names_again(store: Path, capsys: pytest.CaptureFixture) -> None:
    names = read_names(store)
    manifest_path(store).unlink()
    adopt_store(store, workers=1)
    assert re.search(r"names\.jsonl is taken to say what the images of .* are called", noted(capsys))
    assert read_names(store) == names


@pytest.mark.parametrize("content", ['"one"\n', "".join(f'"{name}"\n' for name in "abcde")])
def test_names_of_another_store_make_room(store: Path, content: str, capsys: pytest.CaptureFixture) -> None:
    """Of another number, or beside a manifest that does not fit."""
    damaged = manifest_path(store).read_text().replace('"count": 5', '"count": 6')
    if content.startswith('"one"'):
        manifest_path(store).unlink()
    else:
        manifest_path(store).write_text(damaged.replace('"size_bytes": ', '"size_bytes": 1'))
    names_path(store).write_text(content)
    adopt_store(store, workers=1)
    old = names_path(store).with_name(f"{names_path(store).name}.old")
    assert re.search(r"not known to be of the store .* as it is, and is now .*names\.jsonl\.old", noted(capsys))
    assert old.read_text() == content
    if store.is_dir():
        assert read_names(store) == tuple(f"{number:09d}.jpg" for number in range(5))
    else:
        with pytest.raises(UserError, match=r"nothing says what the images of .* a \.beton file of another program"):
            read_names(store)


def test_names_of_shards_that_were_replaced_are_written_anew(tmp_path: Path) -> None:
    """As many images as before, adopted again after the manifest was moved away."""
    for name in ("old", "new"):
        shutil.rmtree(tmp_path / "s", ignore_errors=True) if name == "old" else manifest_path(tmp_path / "s").unlink()
        write_tar(tmp_path / "s" / "0.tar", {f"{name}.jpg": jpeg(0)})
        adopt_store(tmp_path / "s", workers=1)
        assert read_names(tmp_path / "s") == (f"{name}.jpg",)


@pytest.mark.parametrize("theirs", ["{}\n", "not JSON\n", "[]", "[" * 100_000, '"a"\n"a"\n'])
def test_a_file_of_another_program_stays(tmp_path: Path, theirs: str, capsys: pytest.CaptureFixture) -> None:
    folder = tmp_path / "s"
    write_tar(folder / "0.tar", {"0.jpg": jpeg(0)})
    (folder / "names.jsonl").write_text(theirs)
    assert adopt_store(folder, workers=1).names_sha256 == ""
    assert (folder / "names.jsonl").read_text() == theirs
    assert "names.jsonl is of another program, so that lists cannot choose images" in noted(capsys)
    with pytest.raises(UserError, match=r"nothing says what the images of .* move its manifest away, and adopt it"):
        read_names(folder)
    (folder / "names.jsonl").unlink()
    manifest_path(folder).unlink()
    adopt_store(folder, workers=1)
    assert read_names(folder) == ("0.jpg",)


def test_a_folder_in_the_place_of_names_is_said_before_images_are_decoded(tmp_path: Path) -> None:
    write_tar(tmp_path / "s" / "0.tar", {"0.jpg": b"no image"})
    (tmp_path / "s" / "names.jsonl").mkdir()
    with pytest.raises(UserError, match=r"names\.jsonl is a folder, where the names .* are to lie: move it away"):
        adopt_store(tmp_path / "s", workers=1)


def test_lost_names_of_adopted_shards_come_back(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = tmp_path / "s"
    write_tar(folder / "0.tar", {"0.jpg": jpeg(0)})
    adopt_store(folder, workers=1)
    names_path(folder).unlink()
    verify_store(folder, sample=0, workers=1)
    assert "only once it is adopted again: move its manifest away" in noted(capsys)
