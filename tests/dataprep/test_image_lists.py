"""How lists may call the images of a folder."""

from pathlib import Path

import pytest

from dataprep.errors import UserError
from dataprep.image_lists import read_list

FILES = (
    "n01/n01_1.JPEG", "n01/n01_2.JPEG", "n02/images/n02_7.JPEG", "n02/images/same.png", "n03/same.png",
    "n03/two words.jpg", "n03/a,b.jpg", "n03/a",
)  # fmt: skip


def chosen(tmp_path: Path, text: str) -> tuple[str, ...]:
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    return read_list(tmp_path / "list.txt", tmp_path / "train", FILES)


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("n01/n01_2.JPEG", "n01/n01_2.JPEG"),
        ("./n01//n01_2.JPEG  ", "n01/n01_2.JPEG"),
        ("n01_2.JPEG", "n01/n01_2.JPEG"),  # as the lists of SimCLR have it
        ("n01_2", "n01/n01_2.JPEG"),
        ("n02/n02_7.JPEG", "n02/images/n02_7.JPEG"),  # class/name
        ("n02/n02_7", "n02/images/n02_7.JPEG"),
        ("n03/same.png", "n03/same.png"),
        ("n02/same", "n02/images/same.png"),
        ("train/n01/n01_1.JPEG", "n01/n01_1.JPEG"),
        ("n01/n01_1.JPEG 0", "n01/n01_1.JPEG"),
        ("n01_1.JPEG\tgoldfish, Carassius", "n01/n01_1.JPEG"),
        ("n01/n01_1.JPEG,0", "n01/n01_1.JPEG"),
        ("n03/two words.jpg", "n03/two words.jpg"),
        ("n03/two words.jpg 3", "n03/two words.jpg"),
        ("two words", "n03/two words.jpg"),
        ("n03/a,b.jpg", "n03/a,b.jpg"),
        ("n03/a", "n03/a"),
        ("\ufeffn01/n01_1.JPEG", "n01/n01_1.JPEG"),
    ],
)
def test_a_line_names_an_image(tmp_path: Path, line: str, file: str) -> None:
    assert chosen(tmp_path, line) == (file,)
    assert chosen(tmp_path, f"\n{line}\nn01/n01_1.JPEG" if file != "n01/n01_1.JPEG" else line)[0] == file


def test_a_path_may_be_absolute(tmp_path: Path) -> None:
    assert chosen(tmp_path, f"{tmp_path}/train/n01/n01_1.JPEG 5") == ("n01/n01_1.JPEG",)


@pytest.mark.parametrize("line", ["{folder}/x.png", "train/x.png", "x.png"])
def test_a_whole_path_is_clear_where_other_images_have_the_same_name(tmp_path: Path, line: str) -> None:
    (tmp_path / "list.txt").write_text(line.format(folder=tmp_path / "train"))
    assert read_list(tmp_path / "list.txt", tmp_path / "train", ("x.png", "n01/x.png")) == ("x.png",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("n01_1\nsame.png", r"same\.png in .*list\.txt may be several images of .*train: write their paths"),
        ("n01_1\nn02/n01_1.JPEG", r"1 of the 2 entries .* the first being n02/n01_1\.JPEG"),
        ("other/n01/n01_1.JPEG", "are no images"),
        ("n01_1\nn01/n01_1.JPEG 0", r"names n01/n01_1\.JPEG twice"),
        ("n01/n01_3.JPEG 0", r"the first being n01/n01_3\.JPEG 0"),
    ],
)
def test_what_is_unclear_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        chosen(tmp_path, text)
