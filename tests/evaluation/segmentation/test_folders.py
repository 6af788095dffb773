"""Which images of a folder have which masks of another: lists, suffixes, and what is refused."""

from pathlib import Path

import pytest
from PIL import Image

from dataprep.errors import UserError
from vicregl_fast.evaluation.segmentation.folders import folder_pairs
from vicregl_fast.evaluation.segmentation.pairs import Pairs


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(root / name)


def listed(root: Path, *lines: str) -> Path:
    (root / "list.txt").write_text("\n".join(lines) + "\n\n")
    return root / "list.txt"


def found(root: Path, pairs: Pairs) -> list[tuple[str, str]]:
    return [tuple(str(path.relative_to(root)) for path in pairs.paths(index)) for index in range(len(pairs))]  # type: ignore[misc]


def test_masks_have_their_images_names(tmp_path: Path) -> None:
    write(tmp_path, "images/a.jpg", "images/in/b.png", "masks/a.png", "masks/in/b.tif", "masks/more.png")
    pairs = folder_pairs(tmp_path / "images", tmp_path / "masks")
    assert found(tmp_path, pairs) == [("images/a.jpg", "masks/a.png"), ("images/in/b.png", "masks/in/b.tif")]


def test_a_list_says_which_images_of_a_folder_are_used(tmp_path: Path) -> None:
    """By their paths, with or without extension, in the order of the list; others need no masks, and are not opened."""
    write(
        tmp_path, "images/a.jpg", "images/in/b.png", "images/c.d.jpg", "masks/a.png", "masks/in/b.png", "masks/c.d.png"
    )
    (tmp_path / "images" / "broken.jpg").write_bytes(b"")
    names = listed(tmp_path, "in/b", "c.d.jpg", "./a")
    pairs = folder_pairs(tmp_path / "images", tmp_path / "masks", names)
    assert [image for image, _ in found(tmp_path, pairs)] == ["images/in/b.png", "images/c.d.jpg", "images/a.jpg"]
    assert [mask for _, mask in found(tmp_path, pairs)] == ["masks/in/b.png", "masks/c.d.png", "masks/a.png"]


def test_suffixes_stand_before_the_extensions(tmp_path: Path) -> None:
    write(tmp_path, "images/x/1_leftImg8bit.png", "images/x/1_rightImg8bit.png")
    write(tmp_path, "masks/x/1_gtFine_labelIds.png", "masks/x/1_gtFine_color.png")
    pair = [("images/x/1_leftImg8bit.png", "masks/x/1_gtFine_labelIds.png")]
    for names in (None, listed(tmp_path, "x/1"), listed(tmp_path, "x/1_leftImg8bit.png")):
        pairs = folder_pairs(tmp_path / "images", tmp_path / "masks", names, "_leftImg8bit", "_gtFine_labelIds")
        assert found(tmp_path, pairs) == pair


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["a", "z", "y"], r"2 of the 3 entries of .*list\.txt are no images in .*images, the first being z; paths"),
        (["a", "a"], r"the list .*list\.txt names a\.jpg twice"),
        (["a", "a.jpg"], r"the list .*list\.txt names a\.jpg twice"),
        ([], r"the list .*list\.txt names no images; write one a line"),
        (["c"], r"c in .*list\.txt may be several images of .*images: write their paths"),
        (["b"], r"images/b\.jpg has no mask: .*masks needs a file b\.png$"),
    ],
)
def test_wrong_lists_end_in_a_sentence(tmp_path: Path, lines: list[str], sentence: str) -> None:
    write(tmp_path, "images/a.jpg", "images/b.jpg", "images/c.jpg", "images/c.png", "masks/a.png", "masks/c.png")
    with pytest.raises(UserError, match=sentence):
        folder_pairs(tmp_path / "images", tmp_path / "masks", listed(tmp_path, *lines))


def test_wrong_folders_and_suffixes_end_in_a_sentence(tmp_path: Path) -> None:
    write(tmp_path, "images/a.jpg", "masks/b.png")
    images, masks = tmp_path / "images", tmp_path / "masks"
    with pytest.raises(UserError, match=r"list\.txt cannot be read: No such file"):
        folder_pairs(images, masks, tmp_path / "list.txt")
    with pytest.raises(UserError, match=r"no image in .*images has a name that ends in _left: look at --image_suffix"):
        folder_pairs(images, masks, image_suffix="_left")
    with pytest.raises(UserError, match=r"no mask in .*masks has a name that ends in _ids: look at --mask_suffix"):
        folder_pairs(images, masks, mask_suffix="_ids")
    with pytest.raises(UserError, match=r"needs a file a\.png; or name the images that have masks with --train_list"):
        folder_pairs(images, masks)


def test_two_images_of_one_name_do_not_share_a_mask(tmp_path: Path) -> None:
    write(tmp_path, "images/a.jpg", "images/a.png", "masks/a.png")
    with pytest.raises(UserError, match=r"two images of one name, a\.jpg and a\.png, for one mask"):
        folder_pairs(tmp_path / "images", tmp_path / "masks")
    pairs = folder_pairs(tmp_path / "images", tmp_path / "masks", listed(tmp_path, "a.jpg"))
    assert found(tmp_path, pairs) == [("images/a.jpg", "masks/a.png")]
