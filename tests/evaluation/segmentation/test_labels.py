"""Values of masks and the classes that they mean."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataprep.errors import UserError
from vicregl_fast.evaluation.segmentation.labels import IGNORED, Labels, ignore_index_of, read_label_map
from vicregl_fast.evaluation.segmentation.masks import open_mask


def written(root: Path, *lines: str) -> Path:
    (root / "map.txt").write_text("\n".join(lines))
    return root / "map.txt"


def read(root: Path, values: list[int], labels: Labels) -> list[int]:
    Image.fromarray(np.array([values], np.uint16)).save(root / "mask.png")
    return open_mask(root / "mask.png", labels)[0].tolist()


def test_a_label_map_gives_values_their_classes(tmp_path: Path) -> None:
    table, others = read_label_map(written(tmp_path, "# value class", "7 0", "", "300:1", " 8, 1 ", "0 ignore"))
    assert table == {7: 0, 300: 1, 8: 1, 0: IGNORED} and not others
    labels = Labels(2, table=table)
    assert read(tmp_path, [7, 300, 8, 0, 255], labels) == [0, 1, 1, IGNORED, IGNORED]
    with pytest.raises(UserError, match=r"holds the label 9, but the label map has 4 other values: --label_map needs"):
        read(tmp_path, [7, 9], labels)
    with pytest.raises(UserError, match="holds the label 999"):
        read(tmp_path, [999], labels)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_label_maps_are_read_as_editors_write_them(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "map").write_bytes("7 0\r\n8 1\r\n".encode(encoding))
    assert read_label_map(tmp_path / "map") == ({7: 0, 8: 1}, False)


def test_other_values_may_be_ignored(tmp_path: Path) -> None:
    table, others = read_label_map(written(tmp_path, "7 0", "255 1", "others ignore"))
    labels = Labels(2, None, table=table, others_ignored=others)
    assert read(tmp_path, [7, 255, 9, 5000], labels) == [0, 1, IGNORED, IGNORED]  # 255 is what the map says


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["7 0", "seven 1"], r"line 2 of the label map .*map\.txt is 'seven 1': write a value and its class"),
        (["7 0", "7 1"], r"line 2 of the label map .* gives 7 a second meaning"),
        (["7"], r"line 1 of the label map .* is '7'"),
        (["7 -1"], r"line 1 of the label map .* is '7 -1'"),
        (["others 3"], r"line 1 of the label map .* is 'others 3'"),
        (["7 ignore"], r"the label map .* names no class"),
    ],
)
def test_wrong_label_maps_end_in_a_sentence(tmp_path: Path, lines: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read_label_map(written(tmp_path, *lines))
    with pytest.raises(UserError, match=r"the label map .*none\.txt cannot be read: No such file"):
        read_label_map(tmp_path / "none.txt")


def test_zero_may_be_ignored_and_the_others_shift_down(tmp_path: Path) -> None:
    labels = Labels(3, zero_ignored=True)
    assert read(tmp_path, [0, 1, 2, 3, 255], labels) == [IGNORED, 0, 1, 2, IGNORED]
    with pytest.raises(UserError, match=r"the label 4, but classes are 1 to 3 and 0 and 255 are ignored"):
        read(tmp_path, [4], labels)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (
            {"classes": 21, "ignore_index": 3},
            r"^the value 3 cannot be both class 3 and ignored: give another --ignore_index or none, or give a "
            r"--label_map with the line `3 ignore`$",
        ),
        ({"classes": 300}, "the value 255 cannot be both class 255 and ignored"),
        ({"classes": 5, "zero_ignored": True, "ignore_index": 5}, "the value 5 cannot be both class 4 and ignored"),
        (
            {"classes": 2, "table": {0: 1, 4: 0}, "ignore_index": 0},
            "the value 0 cannot be both class 1 and ignored: .*change its line in the --label_map",
        ),
        ({"classes": 21, "foreground": 5}, "--foreground 5 is class 5 of --classes 21, and cannot be class 1 as well"),
        ({"classes": 2, "foreground": 0}, "--foreground 0 is class 0 of --classes 2"),
        ({"classes": 2, "foreground": 7, "ignore_index": 7}, "the value 7 cannot be both the foreground and ignored"),
    ],
)
def test_a_value_has_one_meaning(labels: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Labels(**labels)


def test_what_is_said_twice_alike_is_no_contradiction(tmp_path: Path) -> None:
    assert read(tmp_path, [0, 1, 2], Labels(2, 0, zero_ignored=True)) == [IGNORED, 0, 1]
    assert read(tmp_path, [3, 9], Labels(2, 9, table={3: 1, 9: IGNORED})) == [1, IGNORED]
    assert read(tmp_path, [0, 1], Labels(2, foreground=1)) == [0, 1]


def test_255_is_ignored_by_itself_only_where_it_is_no_class() -> None:
    for labels in (
        Labels(2, None, foreground=255),
        Labels(256, None),
        Labels(255, None, zero_ignored=True),
        Labels(2, None, table={0: 0, 255: 1}),
    ):
        assert ignore_index_of(None, labels) is None
        assert ignore_index_of("none", labels) is None and ignore_index_of("999", labels) == 999
    for labels in (Labels(255, None), Labels(254, None, zero_ignored=True), Labels(2, None, table={0: 0, 1: 1})):
        assert ignore_index_of(None, labels) == 255


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(UserError, match="--zero_ignored does not go with --label_map"):
        Labels(2, zero_ignored=True, table={1: 0})
    for changes in ({"zero_ignored": True}, {"table": {1: 0}}):
        with pytest.raises(UserError, match="--foreground goes neither with --zero_ignored nor with --label_map"):
            Labels(2, foreground=3, **changes)  # type: ignore[arg-type]
