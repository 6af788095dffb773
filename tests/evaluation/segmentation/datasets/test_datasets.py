"""The data sets' folders in miniature: which images, which masks, which labels."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dataprep.errors import UserError
from tests.evaluation.segmentation.datasets.miniature import (
    CLASSES,
    drawn_classes,
    save_values,
    write_ade20k,
    write_cityscapes,
    write_voc,
)
from vicregl_fast.evaluation.segmentation.datasets.ade20k import LABELS as ADE20K
from vicregl_fast.evaluation.segmentation.datasets.choice import open_dataset
from vicregl_fast.evaluation.segmentation.datasets.cityscapes import LABEL_IDS
from vicregl_fast.evaluation.segmentation.datasets.voc import LABELS as VOC
from vicregl_fast.evaluation.segmentation.labels import Labels
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages
from vicregl_fast.evaluation.segmentation.pairs import Pairs


def check(pairs: Pairs, labels: Labels, classes: dict[str, np.ndarray], stems: list[str]) -> None:
    """Checks that these pairs are the ones of these names, with these classes."""
    assert [Path(image).stem.removesuffix("_leftImg8bit") for image in pairs.images] == stems
    data = MaskedImages(pairs, labels)
    for index, stem in enumerate(stems):
        item = data[index]
        assert np.array_equal(item.mask.numpy(), classes[stem])
        strongest = item.pixels.float().argmax(0).numpy()  # red, green and blue, in the order of the classes
        inside = item.mask.numpy() >= 0
        assert np.array_equal(np.array(CLASSES)[strongest[inside]], classes[stem][inside])


@pytest.mark.parametrize("root", [".", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_voc_with_further_masks(tmp_path: Path, root: str) -> None:
    classes = write_voc(tmp_path)
    data = open_dataset("voc12aug", tmp_path / root)
    check(data.train, data.labels, classes, ["2008_000001", "2008_000002", "2007_000032", "2007_000039"])
    check(data.val, data.labels, classes, ["2007_000033", "2007_000042"])
    assert [mask.parent.name for mask in data.train.masks] == ["SegmentationClassAug"] * 2 + ["SegmentationClass"] * 2
    assert data.labels.classes == 21 and data.labels.name(15) == "person"


@pytest.mark.parametrize("line", ["{}", "/JPEGImages/{0}.jpg /SegmentationClassAug/{0}.png"])
def test_voc_with_one_list_of_all_training_images(tmp_path: Path, line: str) -> None:
    classes = write_voc(tmp_path)
    lists = tmp_path / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation"
    (lists / "aug.txt").unlink()
    (lists / "trainaug.txt").write_text("\n".join(line.format(stem) for stem in ("2007_000039", "2008_000002")))
    data = open_dataset("voc12aug", tmp_path)
    check(data.train, data.labels, classes, ["2007_000039", "2008_000002"])
    assert {mask.parent.name for mask in data.train.masks} == {"SegmentationClassAug"}


@pytest.mark.parametrize(
    ("inside", "kinds"),
    [(".", ("labelIds", "labelTrainIds")), ("cityscapes", ("labelIds",)), (".", ("labelTrainIds",))],
)
def test_cityscapes(tmp_path: Path, inside: str, kinds: tuple[str, ...]) -> None:
    classes = write_cityscapes(tmp_path / inside, kinds)
    data = open_dataset("cityscapes", tmp_path)
    train = [f"{city}_000000_0000{frame}" for city in ("aachen", "zurich") for frame in (19, 20)]
    check(data.train, data.labels, classes, train)
    check(data.val, data.labels, classes, ["munster_000000_000019", "munster_000000_000020"])
    assert all(mask.name.endswith(f"_gtFine_{kinds[0]}.png") for mask in data.train.masks)
    assert data.labels.classes == 19 and data.labels.name(12) == "rider"


def test_cityscapes_ids_are_all_known() -> None:
    """Of the 35 ids, -1 to 33, 19 are classes; -1 is written as 255."""
    meanings = LABEL_IDS.meanings()
    assert sorted(meanings) == [*range(34), 255]
    assert sorted(meaning for meaning in meanings.values() if meaning >= 0) == list(range(19))
    assert [meanings[value] for value in (7, 8, 11, 33, 6, 9, 255)] == [0, 1, 2, 18, -1, -1, -1]


@pytest.mark.parametrize("root", [".", "ADEChallengeData2016"])
def test_ade20k(tmp_path: Path, root: str) -> None:
    classes = write_ade20k(tmp_path)
    data = open_dataset("ade20k", tmp_path / root)
    check(data.train, data.labels, classes, [f"ADE_train_{number:08d}" for number in (1, 2, 3)])
    check(data.val, data.labels, classes, [f"ADE_val_{number:08d}" for number in (1, 2)])


def test_ade20k_s_first_value_is_left_out() -> None:
    meanings = ADE20K.meanings()
    assert sorted(meanings) == [*range(151), 255]
    assert [meanings[value] for value in (0, 1, 150, 255)] == [-1, 0, 149, -1]
    assert len(set(ADE20K.names)) == 150 and (ADE20K.name(0), ADE20K.name(149)) == ("wall", "flag")


def without(name: str) -> Callable[[Path], None]:
    return lambda root: next(root.rglob(name)).unlink()


def listed_twice(root: Path) -> None:
    lists = root / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation"
    (lists / "val.txt").write_text("2007_000033\n2008_000002\n")


def empty_list(root: Path) -> None:
    next(root.rglob("val.txt")).write_text("\n")


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("voc12aug", without("val.txt"), r"the list .*ImageSets/Segmentation/val\.txt cannot be read: No such file"),
        ("voc12aug", empty_list, r"the list .*val\.txt names no images"),
        ("voc12aug", without("aug.txt"), r"there is neither .*aug\.txt nor trainaug\.txt nor train_aug\.txt beside it"),
        (
            "voc12aug",
            without("2007_000042.jpg"),
            r"1 of 2 images .* are missing, .*JPEGImages/2007_000042\.jpg",
        ),
        (
            "voc12aug",
            without("2008_000001.png"),
            r"1 of 4 masks .* missing, .*SegmentationClassAug/2008_000001\.png",
        ),
        ("voc12aug", listed_twice, r"1 images of .*val\.txt are in the lists of training images, .* 2008_000002"),
        (
            "cityscapes",
            without("*19_gtFine_labelIds.png"),
            r"1 of 6 masks of Cityscapes are missing, .*19_gtFine_labelI",
        ),
        (
            "ade20k",
            without("ADE_val_00000002.png"),
            r"1 of 2 masks .* missing, .*validation/ADE_val_00000002\.png",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, name: str, change: Callable[[Path], None], sentence: str) -> None:
    if name == "cityscapes":
        write_cityscapes(tmp_path, ("labelIds",))
    else:
        {"voc12aug": write_voc, "ade20k": write_ade20k}[name](tmp_path)
    change(tmp_path)
    with pytest.raises(UserError, match=sentence) as raised:
        open_dataset(name, tmp_path)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "voc12aug",
            r"does not hold Pascal VOC 2012: there is none of the folders .*VOC2012/JPEGImages",
        ),
        ("cityscapes", r"does not hold Cityscapes: there is none of the folders .*/leftImg8bit"),
        ("ade20k", r"does not hold ADE20K .*there is none of the folders .*/ADEChallengeData2016/annotations"),
    ],
)
def test_a_wrong_root_is_named(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        open_dataset(name, tmp_path)  # type: ignore[arg-type]


def test_an_empty_side_is_named(tmp_path: Path) -> None:
    (tmp_path / "leftImg8bit" / "train").mkdir(parents=True)
    with pytest.raises(UserError, match=r"Cityscapes has no images there: looked for .*train/CITY/\*_leftImg8bit.png"):
        open_dataset("cityscapes", tmp_path)
    (tmp_path / "annotations").mkdir()
    with pytest.raises(UserError, match=r"ADE20K has no images there: looked for .*images/training/\*.jpg"):
        open_dataset("ade20k", tmp_path)


@pytest.mark.parametrize(("labels", "value"), [(VOC, 21), (LABEL_IDS, 34), (ADE20K, 151), (ADE20K, 254)])
def test_values_without_a_meaning_are_refused(tmp_path: Path, labels: Labels, value: int) -> None:
    mask = tmp_path / "masks" / "a.png"
    save_values(mask, np.full((8, 8), value))
    image = tmp_path / "images" / "a.png"
    save_values(image, np.zeros((8, 8)))
    data = MaskedImages(Pairs(image.parent, ("a.png",), (mask,), "masks"), labels)
    with pytest.raises(UserError, match=f"holds the label {value}, but "):
        data[0]


def test_the_classes_of_the_miniatures_differ() -> None:
    assert not np.array_equal(drawn_classes(0), drawn_classes(1))
