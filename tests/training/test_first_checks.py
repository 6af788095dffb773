"""What can be refused is refused before a folder is converted; the same images are known wherever they lie."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataprep.errors import UserError
from dataprep.sources import list_images
from tests.conftest import drawn_image
from tests.tiny_run import ALONE, rows, tiny_options, tiny_trainer
from tests.two_processes import on_two_processes
from vicregl_fast.config import parse_config
from vicregl_fast.data.engine_table import open_store
from vicregl_fast.data.source import Source
from vicregl_fast.runs.folder import RunFolder
from vicregl_fast.training.feeds import open_stores, sources
from vicregl_fast.training.first_checks import check_settings, note_new_defaults
from vicregl_fast.training.processes import Processes, join_processes


@pytest.fixture
def images(image_folder: Path, tmp_path: Path) -> Path:
    """A folder of the test's own."""
    return Path(shutil.copytree(image_folder, tmp_path / "images"))


def other_classes(images: Path) -> Path:
    other = Path(shutil.copytree(images, images.with_name("other")))
    (other / "class_c").rename(other / "class_d")
    return other


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"data__val_path": "nowhere"}, "neither a store nor a folder of images at nowhere"),
        ({"data__val_path": "OTHER"}, "has the class 'class_d', which .* lacks|has the class 'class_c', which"),
        ({"data__val_path": "IMAGES", "data__val_list": "nothing.txt"}, "the list nothing.txt cannot be read"),
        ({"data__val_list": "nothing.txt"}, "data.val_list goes with data.val_path"),
        ({"data__list": "nothing.txt"}, "the list nothing.txt cannot be read"),
        ({"batch_size": 64}, "48 images, fewer than one batch of 64"),
        ({"batch_size": 9, "train__chunk": 2}, "train.chunk 2 cuts a process's 9 images so that one is alone"),
        ({"batch_size": 1}, "leaves under 2 images a process"),
        ({"views__backend": "cuda"}, "views.backend cuda needs a CUDA device"),
        ({"model__output_stride": 3}, "resnet18 cannot be built with output_stride 3|output_stride"),
        (
            {"model__backbone": "convnext_atto", "model__output_stride": 32, "views__large_size": 16},
            "cannot take images",
        ),
        ({"data__engine": "torchvision", "data__on_error": "skip"}, "on_error skip goes with stores"),
        ({"data__val_path": "STORE", "data__engine": "torchvision"}, "is a store, and the torchvision engine reads"),
    ],
)
def test_nothing_is_converted_for_what_is_refused(
    images: Path, beton: Path, tmp_path: Path, more: dict, words: str
) -> None:
    named = {"IMAGES": images, "OTHER": other_classes(images), "STORE": beton}
    with pytest.raises(UserError, match=words) as raised:
        tiny_trainer(images, tmp_path / "run", **{key: named.get(value, value) for key, value in more.items()})
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run" / "stores").exists() and not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize("name", ["train__log_every", "train__val_every", "train__chunk", "data__val_path"])
def test_processes_with_other_options_are_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one would log, validate or cut otherwise, the others would wait for."""
    first, own = (parse_config(tiny_options(tmp_path, tmp_path / "run", **more)) for more in ({}, {name: 4}))
    monkeypatch.setattr(Processes, "gather", lambda self, value: [first, value])
    with pytest.raises(UserError, match=f"has other options than process 0.*{name.replace('__', '.')} is"):
        check_settings(own, ALONE)
    own = {"data__list": "x.txt", "data__val_list": "y.txt", "data__workers": 3}
    copies = [
        parse_config(tiny_options(tmp_path / disk, tmp_path / "run", data__val_path=disk, **more))
        for disk, more in (("a", {}), ("b", own))
    ]
    monkeypatch.setattr(Processes, "gather", lambda self, value: [copies[0], value])
    check_settings(copies[1], ALONE)


@pytest.mark.parametrize(("world", "recorded", "noted"), [(2, False, True), (2, True, False), (1, False, False)])
def test_a_run_begun_without_common_statistics_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture, world: int, recorded: bool, noted: bool
) -> None:
    config, folder = parse_config(tiny_options(tmp_path, tmp_path / "run")), RunFolder(tmp_path / "run")
    folder.claim(config)
    if not recorded:
        folder.config.write_text(folder.config.read_text().replace("  sync_batchnorm: true\n", ""))
    note_new_defaults(config, folder, replace(ALONE, world=world))
    assert ("begun with BatchNorm statistics of each process alone" in capsys.readouterr().err) == noted


def test_a_run_goes_on_with_its_images_elsewhere(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = tmp_path / "run"
    assert tiny_trainer(images, run, epochs=1).run() == 0
    before = rows(run)
    staged = Path(shutil.copytree(images, tmp_path / "node" / "staged"))  # while the old ones are still there
    capsys.readouterr()
    assert tiny_trainer(staged, run, epochs=1).finished_steps == 4
    assert f"data.path was {images} and now is {staged}" in (noted := capsys.readouterr().err)
    assert "are converted" not in noted and len(list((run / "stores").glob("*.beton"))) == 1
    assert RunFolder(run).read_config().data.path == str(staged)
    shutil.rmtree(images)
    monkeypatch.chdir(staged.parent)
    assert tiny_trainer(Path("staged"), run, epochs=1).run() == 0
    assert "are converted" not in capsys.readouterr().err and rows(run) == before


def test_a_store_may_be_moved_and_a_list_may_say_the_same(beton: Path, images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert tiny_trainer(beton, run, epochs=1).run() == 0
    for suffix in ("", ".json"):
        shutil.copy(f"{beton}{suffix}", tmp_path / f"moved.beton{suffix}")
    assert tiny_trainer(tmp_path / "moved.beton", run, epochs=1).finished_steps == 4
    (tmp_path / "list.txt").write_text("\n".join(list_images(images).files))
    assert tiny_trainer(images, run, epochs=1, data__list=tmp_path / "list.txt").finished_steps == 4


def test_a_run_does_not_go_on_with_other_images(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run, fewer = tmp_path / "run", tmp_path / "fewer"
    assert tiny_trainer(images, run, epochs=1).run() == 0
    config = (run / "config.yaml").read_text()
    shutil.copytree(images, fewer)
    next(fewer.glob("class_a/*.jpg")).unlink()
    swapped = [*list_images(images).files]
    swapped[0], swapped[1] = swapped[1], swapped[0]
    (tmp_path / "list.txt").write_text("\n".join(swapped))
    capsys.readouterr()
    for path in (fewer, other_classes(images)):  # seen before they are converted
        with pytest.raises(UserError, match=r"are not those that the run in .* has learned from"):
            tiny_trainer(path, run, epochs=1)
        assert "are converted" not in capsys.readouterr().err
    with pytest.raises(UserError, match="are not those that the run in"):  # only their sizes tell
        tiny_trainer(images, run, epochs=1, data__list=tmp_path / "list.txt")
    assert (run / "config.yaml").read_text() == config


def test_another_engine_does_not_continue_a_run(beton: Path, tmp_path: Path) -> None:
    """As where a store is followed by shards of the same images, which another engine decodes."""
    run = tmp_path / "run"
    assert tiny_trainer(beton, run, epochs=1).run() == 0
    file = RunFolder(run).images
    file.write_text(file.read_text().replace('"ffcv"', '"dali"'))
    with pytest.raises(UserError, match=r"images that the dali engine decoded, and .* is read by the ffcv engine"):
        tiny_trainer(beton, run, epochs=1)
    file.unlink()  # a run of an earlier version
    assert tiny_trainer(beton, run, epochs=1).finished_steps == 4 and file.exists()


def test_other_images_of_the_same_names_and_sizes_are_converted(tmp_path: Path) -> None:
    """Uncompressed images of one size have files of one size."""
    for index in range(40):
        for part in ("train", "val"):
            (tmp_path / part).mkdir(exist_ok=True)
            Image.fromarray(drawn_image(index + 100 * (part == "val"), 32, 32)).save(
                tmp_path / part / f"{index:02d}.bmp"
            )
    stores = {part: open_store(Source(tmp_path / part, tmp_path / "cache")).store.path for part in ("train", "val")}
    assert stores["train"] != stores["val"]
    (tmp_path / "val").rename(tmp_path / "moved")
    assert open_store(Source(tmp_path / "moved", tmp_path / "cache")).store.path == stores["val"]


def _opened(images: Path, cache: Path) -> None:
    processes = join_processes("cpu")
    data = parse_config(tiny_options(images, cache, data__val_path=images)).data
    train, val = open_stores(data, sources(data, cache), processes)
    assert val is not None and np.array_equal(train.store.labels, val.store.labels)  # type: ignore[arg-type]
    (cache / f"{processes.rank}-{train.store.path.name}").touch()
    processes.leave()


@pytest.mark.slow
def test_every_process_opens_what_the_first_one_converted(images: Path, tmp_path: Path) -> None:
    on_two_processes(_opened, images, tmp_path / "cache")
    (store,) = (tmp_path / "cache").glob("images-*.beton")
    assert {path.name for path in (tmp_path / "cache").glob("?-*")} == {f"0-{store.name}", f"1-{store.name}"}
