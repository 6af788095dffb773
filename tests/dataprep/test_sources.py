"""Which files of a folder are images, in which order, with which labels."""

import os
import socket
from pathlib import Path

import pytest

from dataprep.errors import UserError
from dataprep.sources import MOST_VISITS, list_images, list_shards


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_class_folders_are_numbered_by_sorted_name(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "bee/2.JPEG",
        "bee/1.png",
        "ant/9.jpg",
        "ant/notes.txt",
        "ant b/0.webp",
        "readme.md",
        "bee/._1.jpg",
    )
    source = list_images(tmp_path)
    assert source.files == ("ant/9.jpg", "ant b/0.webp", "bee/1.png", "bee/2.JPEG")
    assert source.classes == ("ant", "ant b", "bee")
    assert source.labels == (0, 1, 2, 2)


@pytest.mark.parametrize(
    "names",
    [
        ("a.jpg", "b.jpg"),
        ("x/a.jpg", "x/b.jpg"),
        ("x/a.jpg", "y/deep/b.jpg"),
        ("x/a.jpg", "y/b.jpg", "c.jpg"),
    ],
    ids=["flat", "one folder", "nested", "mixed"],
)
def test_other_folders_have_no_labels(tmp_path: Path, names: tuple[str, ...]) -> None:
    source = list_images(touch(tmp_path, *names))
    assert set(source.files) == set(names)
    assert source.labels is None and source.classes is None


def test_list_selects_in_its_order_with_the_whole_folders_classes(tmp_path: Path) -> None:
    folder = touch(tmp_path / "images", "ant/1.jpg", "bee/1.jpg", "bee/2.jpg", "cat/1.jpg")
    (tmp_path / "list.txt").write_text("cat/1.jpg\n\n./bee/2.jpg  \n")
    source = list_images(folder, tmp_path / "list.txt")
    assert source.files == ("cat/1.jpg", "bee/2.jpg")
    assert source.labels == (2, 1)
    assert source.classes == ("ant", "bee", "cat")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("ant/1.jpg\nant/7.jpg\nant/8.jpg", "2 of the 3 entries .* the first being ant/7.jpg"),
        ("../elsewhere/1.jpg", "the first being ../elsewhere/1.jpg"),
        ("ant/notes.txt", "the first being ant/notes.txt"),
        ("ant/1.jpg\nbee/1.jpg\nant/1.jpg", "names ant/1.jpg twice"),
        ("\n \n", "names no images"),
    ],
)
def test_wrong_lists_are_refused(tmp_path: Path, content: str, says: str) -> None:
    folder = touch(tmp_path / "images", "ant/1.jpg", "ant/notes.txt", "bee/1.jpg")
    (tmp_path / "list.txt").write_text(content)
    with pytest.raises(UserError, match=says):
        list_images(folder, tmp_path / "list.txt")


def test_empty_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are no images in"):
        list_images(touch(tmp_path, "notes.txt"))
    with pytest.raises(UserError, match="does not exist"):
        list_images(tmp_path / "none")
    with pytest.raises(UserError, match=r"none\.txt cannot be read: No such file"):
        list_images(touch(tmp_path, "a.jpg"), tmp_path / "none.txt")


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    folder = touch(tmp_path / "images", "ant/1.jpg")
    touch(tmp_path / "elsewhere", "1.jpg")
    (folder / "bee").symlink_to(tmp_path / "elsewhere")
    (folder / "bee" / "loop").symlink_to(folder)
    assert list_images(folder).files == ("ant/1.jpg", "bee/1.jpg")


@pytest.mark.timeout(20)
def test_what_is_no_regular_file_is_passed_over_and_said(tmp_path: Path) -> None:
    """A pipe would be waited for in vain, and a device may never end."""
    folder = touch(tmp_path / "images", "ant/1.jpg", "bee/1.jpg", "notes.txt")
    os.mkfifo(folder / "ant" / "2.jpg")
    (folder / "bee" / "zero.png").symlink_to("/dev/zero")
    (folder / "bee" / "link.jpg").symlink_to("1.jpg")
    (folder / "bee" / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "bee" / "self.jpg").symlink_to("self.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "cat.jpg"))
        source = list_images(folder)
    assert source.files == ("ant/1.jpg", "bee/1.jpg", "bee/gone.jpg", "bee/link.jpg", "bee/self.jpg")
    assert source.classes == ("ant", "bee"), "what is passed over is in no class folder's way"
    assert source.passed_over == {".jpg": 2, ".png": 1, ".txt": 1}
    said = "is no regular file but a pipe, a socket or a device, and was passed over, like 2 more"
    assert source.remarks[1:] == (f"ant/2.jpg in {folder} {said}",)
    (tmp_path / "list.txt").write_text("bee/1.jpg\nant/2.jpg")
    with pytest.raises(UserError, match=r"list\.txt names ant/2\.jpg, which is no regular file but .*: leave it"):
        list_images(folder, tmp_path / "list.txt")
    for file in source.files:
        (folder / file).unlink()
    with pytest.raises(UserError, match=r"no images in .*; 4 files \(2 \.jpg, 1 \.txt, 1 \.png\) were passed over"):
        list_images(folder)


def test_class_folders_that_are_links_count(tmp_path: Path) -> None:
    """Also to each other; only a circle is left."""
    folder = touch(tmp_path / "images", "bee/1.jpg", "cat/1.jpg")
    (folder / "ant").symlink_to("bee")
    (folder / "dog").symlink_to("cat")
    (folder / "cat" / "all").symlink_to("..")
    source = list_images(folder)
    assert source.files == ("ant/1.jpg", "bee/1.jpg", "cat/1.jpg", "dog/1.jpg")
    assert source.classes == ("ant", "bee", "cat", "dog")
    assert source.remarks == (f"bee of {folder} is the folder ant, whose images so count again, and 1 more such links",)


@pytest.mark.timeout(20)
def test_folders_that_all_link_to_each_other_end(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(9)]
    folder = touch(tmp_path / "images", *(f"{name}/1.jpg" for name in names))
    for one in names:
        for other in names:
            if one != other:
                (folder / one / other).symlink_to(f"../{other}")
    assert len(list_images(folder).files) <= 9 * MOST_VISITS


def test_of_links_to_one_shard_the_first_counts(tmp_path: Path) -> None:
    folder = touch(tmp_path, "b/0.tar", "b/1.tar")
    (folder / "a").symlink_to("b")
    (folder / "c.tar").symlink_to("b/0.tar")
    assert list_shards(folder) == ["a/0.tar", "a/1.tar"]
