"""Which class an image has, and what is said where it has none."""

import os
from pathlib import Path

import pytest

from dataprep.class_labels import read_class_names
from dataprep.errors import UserError
from dataprep.sources import list_images
from tests.dataprep.test_sources import touch


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("a.jpg", "b.jpg"), r"has no class folders: the 2 images of .* without labels; .*--labels FILE"),
        (("x/a.jpg", "x/b.jpg"), r"all images lie in one folder, x: .*--labels FILE"),
        (("x/a.jpg", "y/b.jpg", "stray.jpg"), r"^stray\.jpg lies in no class folder: the 3 images .*--labels folders"),
        (("x/images/a.jpg", "y/images/b.jpg"), r"^x/images/a\.jpg lies deeper .*: the 2 images .*--labels folders"),
        (("x/a.jpg", "y/deep/b.jpg"), r"^y/deep/b\.jpg lies deeper"),
    ],
)
def test_what_prevents_classes_is_said(
    tmp_path: Path, names: tuple[str, ...], says: str, capsys: pytest.CaptureFixture
) -> None:
    source = list_images(touch(tmp_path, *names))
    assert source.labels is None
    (remark,) = source.remarks
    with pytest.raises(UserError, match=says):
        raise UserError(remark)
    source.say_remarks()
    assert capsys.readouterr().err == f"note: {remark}\n"


def test_no_labels_are_taken_without_a_word_if_none_are_wanted(tmp_path: Path) -> None:
    source = list_images(touch(tmp_path, "x/a.jpg", "y/b.jpg"), labels="none")
    assert source.labels is None and source.remarks == ()


def test_the_first_folder_is_the_class_on_request(tmp_path: Path) -> None:
    touch(tmp_path, "bee/images/1.jpg", "bee/2.jpg", "ant/a/b/3.jpg", "stray.jpg", "ant/notes.txt")
    source = list_images(tmp_path, labels="folders")
    assert source.files == ("ant/a/b/3.jpg", "bee/2.jpg", "bee/images/1.jpg")
    assert source.classes == ("ant", "bee") and source.labels == (0, 1, 1)
    assert "1 file (1 .txt)" in source.remarks[0]
    assert "1 image in" in source.remarks[1] and "stray.jpg" in source.remarks[1]
    with pytest.raises(UserError, match="fewer than two folders"):
        list_images(tmp_path / "bee", labels="folders")


def test_folders_of_systems_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "ant/1.jpg", "bee/1.jpg", "ant/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/ant/1.jpg")
    touch(tmp_path, "@eaDir/2.jpg", "ant/.thumbnails/1.jpg", "lost+found/readme.txt")
    source = list_images(tmp_path)
    assert source.files == ("ant/1.jpg", "bee/1.jpg") and source.labels == (0, 1)
    assert [remark.split(" of ")[0] for remark in source.remarks] == [
        "2 images in folders @eaDir",
        "1 images in folders __MACOSX",
    ]


def test_what_is_passed_over_is_counted_by_its_ending(tmp_path: Path) -> None:
    touch(tmp_path, "ant/1.jpg", "bee/1.jpg", "ant/1.heic", "ant/2.HEIC", "bee/list.txt", "bee/README", "bee/.hidden")
    source = list_images(tmp_path)
    assert source.passed_over == {".heic": 2, ".txt": 1, "no ending": 1}
    assert "4 files (2 .heic, 1 .txt, 1 no ending)" in source.remarks[0]
    with pytest.raises(UserError, match=r"no images in .*; 2 files \(2 \.heic\) were passed over"):
        list_images(touch(tmp_path / "other", "1.heic", "2.heic"))


FORMS = {
    "tiny imagenet": "val_0.jpg\tn02\t0\t32\t44\t62\nval_1.jpg\tn01\t52\t55\t57\t59\n",
    "with a heading": "image,label\nval_0.jpg,n02\nval_1.jpg,n01\n",
    "imagenet's": "ImageId,PredictionString\nval_1,n01 85 1 499 272 \nval_0,n02 1 2 3 4 5 6 7 8\n",
    "by path": "images/val_1.jpg n01\n\n./images/val_0.jpg   n02\n",
    "quoted": '"images/val_0.jpg","n02"\n"images/val_1.jpg","n01"\n',
    "with a mark of its encoding": "\ufeffval_0.jpg n02\nval_1.jpg n01\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_gives_labels_to_a_flat_folder(tmp_path: Path, form: str) -> None:
    touch(tmp_path / "val", "images/val_0.jpg", "images/val_1.jpg")
    (tmp_path / "labels.txt").write_text(FORMS[form], encoding="utf-8")
    source = list_images(tmp_path / "val", labels=str(tmp_path / "labels.txt"))
    assert source.classes == ("n01", "n02") and source.labels == (1, 0) and source.remarks == ()


def test_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    touch(tmp_path / "x", "a b.jpg", "b.jpg", "c.jpg")
    (tmp_path / "labels.txt").write_text("a b.jpg 10\nb.jpg 9\nc.jpg 0\n")
    source = list_images(tmp_path / "x", labels=str(tmp_path / "labels.txt"))
    assert source.classes == ("0", "9", "10") and source.labels == (2, 1, 0)


def test_a_list_chooses_from_a_file_of_labels(tmp_path: Path) -> None:
    touch(tmp_path / "x", "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "labels.txt").write_text("a.jpg cat\nc.jpg dog\n")
    (tmp_path / "list.txt").write_text("c.jpg\n")
    source = list_images(tmp_path / "x", tmp_path / "list.txt", str(tmp_path / "labels.txt"))
    assert source.files == ("c.jpg",) and source.classes == ("cat", "dog") and source.labels == (1,)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("x/a.jpg 1\n", r"no label for 2 images of 3 in .*, such as x/b\.jpg"),
        ("x/a.jpg 1\nx/b.jpg\n", "line 2 of .* has no label"),
        ("x/a.jpg,\n", "line 1 of .* has no label"),
        ("a.jpg 1\n", r"line 1 of .*: several images of .* are called a\.jpg; give their paths"),
        ("x/a.jpg 1\nx/a.jpg 2\n", r"gives x/a\.jpg two labels, 1 and 2"),
        ("", "no label for 3 images of 3"),
        (",filename,label\n0,x/a.jpg,cat\n1,x/b.jpg,dog\n", r"line 2 of .* has x/a\.jpg in its label's place"),
        ('"x/a.jpg, 1" cat\n', "line 1 of .* has no label"),
        ('{"' + "a" * 200000 + ',1"\n', "line 1 of .* has no label"),
    ],
)
def test_a_damaged_file_of_labels_is_refused(tmp_path: Path, content: str, says: str) -> None:
    touch(tmp_path / "images", "x/a.jpg", "x/b.jpg", "y/a.jpg")
    (tmp_path / "labels.txt").write_text(content)
    with pytest.raises(UserError, match=says):
        list_images(tmp_path / "images", labels=str(tmp_path / "labels.txt"))


def test_a_missing_file_of_labels_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the file of labels folder cannot be read: No such file"):
        list_images(touch(tmp_path, "a.jpg"), labels="folder")


def test_class_folders_are_numbered_as_text(tmp_path: Path) -> None:
    """As torchvision does, and as stores of earlier versions have them."""
    assert list_images(touch(tmp_path, "1/a.jpg", "2/a.jpg", "10/a.jpg")).classes == ("1", "10", "2")


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "ant/1.jpg", "bee/1.jpg")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("bee"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"the folder .*bee cannot be read: Permission denied"):
        list_images(tmp_path)


@pytest.mark.parametrize(
    ("content", "classes"),
    [
        ("filename,width,height,class\nx/a.jpg,64,48,cat\nx/b.jpg,64,48,dog\ny/a.jpg,64,48,cat\n", ("cat", "dog")),
        ("image\tsplit\tLabel\nx/a.jpg\ttrain\t1.0\nx/b.jpg\ttrain\t2.0\ny/a.jpg\ttest\t1\n", ("1", "2")),
        ("filename,class,width\nx/a.jpg,cat,64\nx/b.jpg,dog,64\ny/a.jpg,cat,64\n", ("cat", "dog")),
        ("x/a.jpg,cat,label\nx/b.jpg,dog,label\ny/a.jpg,cat,label\n", ("cat", "dog")),
    ],
)
def test_a_heading_says_which_column_holds_the_labels(tmp_path: Path, content: str, classes: tuple[str, str]) -> None:
    folder = touch(tmp_path / "images", "x/a.jpg", "x/b.jpg", "y/a.jpg")
    (tmp_path / "labels").write_text(content)
    source = list_images(folder, labels=str(tmp_path / "labels"))
    assert (source.classes, source.labels) == (classes, (0, 1, 0))


def test_one_label_for_all_is_said(tmp_path: Path) -> None:
    folder = touch(tmp_path / "images", "a.jpg", "b.jpg")
    (tmp_path / "labels").write_text("a.jpg,64,cat\nb.jpg,64,dog\n")
    assert "gives all images one label, 64" in list_images(folder, labels=str(tmp_path / "labels")).remarks[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_files_are_read_as_editors_write_them(tmp_path: Path, encoding: str) -> None:
    folder = touch(tmp_path / "images", "é.jpg", "b.jpg")
    (tmp_path / "labels").write_bytes("é.jpg,bär\r\nb.jpg,ant\r\n".encode(encoding))
    assert list_images(folder, labels=str(tmp_path / "labels")).classes == ("ant", "bär")
    (tmp_path / "list").write_bytes("é.jpg\r\n".encode(encoding))
    assert list_images(folder, tmp_path / "list").files == ("é.jpg",)
    (tmp_path / "classes").write_bytes("bär\r\nant\r\n".encode(encoding))
    assert read_class_names(tmp_path / "classes") == ("bär", "ant")


def test_an_empty_choice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the choice of labels is empty"):
        list_images(touch(tmp_path, "a.jpg"), labels="")


@pytest.mark.parametrize(
    ("content", "classes"),
    [
        ("a.jpg,1.05\nb.jpg,15\n", ("1.05", "15")),
        ("a.jpg,v1.0\nb.jpg,v1\n", ("v1", "v1.0")),
        ("filename,class,label\na.jpg,cat,0\nb.jpg,dog,1\n", ("cat", "dog")),
        ("gone.jpg,cat,target\na.jpg,cat,1\nb.jpg,dog,1\n", ("cat", "dog")),
        ("\nfilename,split,target\na.jpg,train,cat\nb.jpg,train,dog\n", ("cat", "dog")),
    ],
)
def test_labels_stay_what_they_are(tmp_path: Path, content: str, classes: tuple[str, str]) -> None:
    folder = touch(tmp_path / "images", "a.jpg", "b.jpg")
    (tmp_path / "labels").write_text(content)
    assert list_images(folder, labels=str(tmp_path / "labels")).classes == classes
