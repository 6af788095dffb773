"""The benchmark of engines measures each of them, on the same images, and leaves nothing running."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from vicregl_fast.augment.recipe import ViewsConfig
from vicregl_fast.bench import main
from vicregl_fast.benchmarks.bare_decoding import BareCopying, BareDecoding
from vicregl_fast.benchmarks.loader_sources import open_all, open_bytes
from vicregl_fast.benchmarks.loaders import LoaderBench, _peer_ratios, bench_loaders
from vicregl_fast.benchmarks.measurements import Measurement, read_measurements
from vicregl_fast.benchmarks.peers.table import PEERS
from vicregl_fast.benchmarks.pil_decoding import PilDecoding
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.stored_images import open_stored

pytestmark = pytest.mark.timeout(200)
CPU = torch.device("cpu")
VIEWS = ViewsConfig("two", large_size=32)


def bench_of(path: Path, **changed: object) -> LoaderBench:
    bench = LoaderBench(path, ("ffcv", "torchvision"), ("decode", "views"), VIEWS, (2, 2), 2, 8, CPU)
    return replace(bench, **changed)  # type: ignore[arg-type]


def test_bare_decoding_decodes_each_image(beton: Path, tmp_path: Path) -> None:
    store = open_bytes(beton, tmp_path)
    bare = BareDecoding(store, batch_size=5, workers=2)
    indices = np.array([7, 30, 21, 2, 40])
    bare.decode(indices)
    for k, index in enumerate(indices):
        with_pil = ImageFolder.of(list_images(_source(beton))).open(index)
        size = with_pil.height * with_pil.width * 3
        pixels = bare._buffers[k, :size].reshape(with_pil.height, with_pil.width, 3)
        assert np.abs(pixels.astype(int) - np.asarray(with_pil).astype(int)).mean() < 1.5


def test_bare_decoding_names_what_does_not_decode(beton: Path, tmp_path: Path) -> None:
    store = open_bytes(beton, tmp_path)
    sizes = store.sizes.copy()
    sizes[30] //= 2
    with pytest.raises(UserError, match="image 30 of"):
        BareDecoding(replace(store, sizes=sizes), 4, 2).decode(np.array([7, 30, 21]))


@pytest.fixture(scope="module")
def raw_beton(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images of ``image_folder``, stored as pixels."""
    path = tmp_path_factory.mktemp("raw") / "raw.beton"
    write_store(list_images(image_folder), path, mode="raw")
    return path


def test_bare_copying_copies_each_image(raw_beton: Path) -> None:
    store = open_stored(raw_beton)
    copying = BareCopying(store, workers=2)
    copying.copy(np.array([7, 30, 21]))
    for buffer, last in zip(copying._buffers, (21, 30), strict=True):  # of every second one the last
        pixels = np.asarray(store.open(last)).ravel()
        assert np.array_equal(buffer[: len(pixels)], pixels)


def test_stored_pixels_are_measured_beside_copying(raw_beton: Path) -> None:
    bench = bench_of(raw_beton, engines=("ffcv",), stages=("decode",))
    rows = {row.name.removeprefix("loader."): row for row in bench_loaders(bench, repeats=2)}
    assert list(rows) == ["bare.copy", "ffcv.decode", "ffcv.decode_over_copy"]
    ours, bare = rows["ffcv.decode"], rows["bare.copy"]
    assert ours.min / bare.max <= rows["ffcv.decode_over_copy"].value <= ours.max / bare.min


def _source(beton: Path) -> Path:
    files = open_all(beton, beton.parent, ["torchvision"])["torchvision"]
    return files.store.path


def test_pil_decodes_every_image_and_says_which_it_cannot(image_folder: Path, tmp_path: Path) -> None:
    folder = ImageFolder.of(list_images(image_folder))
    batches = [np.arange(8), np.arange(8, 16), np.arange(16, 20)]
    assert PilDecoding(folder, batches, 2).decode() == 20
    (tmp_path / "bad.jpg").write_bytes((image_folder / folder.files[0]).read_bytes()[:800])
    with pytest.raises(UserError, match=r"bad\.jpg does not decode"):
        PilDecoding(ImageFolder.of(list_images(tmp_path)), [np.array([0])], 1).decode()


def test_rows_of_a_folder(image_folder: Path) -> None:
    before = set(multiprocessing.active_children())
    so_far: list[list[Measurement]] = []
    rows = {row.name: row for row in bench_loaders(bench_of(image_folder), 2, so_far.append)}
    assert [{row.name: row.n for row in turn} for turn in so_far] == [dict.fromkeys(rows, n) for n in (1, 2)]
    rates = ["bare.decode", "ffcv.decode", "ffcv.views", "torchvision.decode", "torchvision.views"]
    ratios = {
        "ffcv.decode_over_bare": ("ffcv.decode", "bare.decode"),
        "ffcv.views_over_torchvision": ("ffcv.views", "torchvision.views"),
        "ffcv.decode_over_torchvision_views": ("ffcv.decode", "torchvision.views"),
    }
    assert list(rows) == [f"loader.{name}" for name in [*rates, *ratios]]
    for name in rates:
        row = rows[f"loader.{name}"]
        assert row.n == 2 and row.unit == "images/s" and 1 < row.min <= row.max
    for name, (over, under) in ratios.items():
        row, fast, slow = (rows[f"loader.{each}"] for each in (name, over, under))
        assert row.n == 2 and fast.min / slow.max <= row.value <= fast.max / slow.min
    assert set(multiprocessing.active_children()) <= before


def test_peers_take_turns_with_the_engines(image_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = bench_of(image_folder, engines=("ffcv",), stages=("decode",), peers=("torchvision_io",))
    rows = {row.name: row for row in bench_loaders(bench, repeats=1)}
    peer, ours = rows["loader.peer.torchvision_io.decode"], rows["loader.ffcv.decode"]
    assert peer.n == 1 and peer.unit == "images/s" and peer.min > 1
    assert rows["loader.ffcv.decode_over_peer.torchvision_io"].value == pytest.approx(ours.value / peer.value)


def test_a_peer_that_fails_costs_no_other_figure(
    image_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(PEERS, "spdl", lambda work: {"decode": lambda: 1 // 0, "decode_resize_224": lambda: 64})
    bench = bench_of(image_folder, engines=("ffcv",), stages=("decode",), peers=("spdl", "torchvision_io"))
    rows = {row.name: row.n for row in bench_loaders(bench, repeats=2) if row.unit == "images/s"}
    others = ["bare.decode", "ffcv.decode", "peer.spdl.decode_resize_224", "peer.torchvision_io.decode"]
    assert rows == {f"loader.{name}": 2 for name in others}
    assert "note: peer.spdl.decode is left out: peer spdl fails" in capsys.readouterr().err


def test_ratios_are_of_the_same_stage() -> None:
    names = ["ffcv.views", "peer.spdl.decode", "peer.spdl.decode_resize_224", "peer.kornia.views_without_matches"]
    assert _peer_ratios(names) == {
        "ffcv.decode_over_peer.spdl": ("ffcv.decode", "peer.spdl.decode"),
        "ffcv.views_over_peer.kornia": ("ffcv.views", "peer.kornia.views_without_matches"),
    }


def test_the_command_measures_dali_and_writes(beton: Path, tmp_path: Path) -> None:
    pytest.importorskip("nvidia.dali")
    options = f"--path {beton} --engines dali,torchvision --views multicrop --stage views --workers 1 --batch 4"
    main(["loader", *options.split(), "--repeats", "1", "--device", "cpu", "--json", str(tmp_path / "x.json")])
    names = [row.name for row in read_measurements(tmp_path / "x.json")]
    assert names == [
        "loader.dali.views", "loader.torchvision.views", "loader.dali.views_over_torchvision",
        "loader.peak_host_memory",
    ]  # fmt: skip


def test_what_cannot_be_read_is_left_out_with_a_note(
    beton: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "moved.beton"
    moved.write_bytes(beton.read_bytes())
    record = Path(f"{beton}.json").read_text().replace(str(_source(beton)), str(tmp_path / "gone"))
    Path(f"{moved}.json").write_text(record)
    assert list(open_all(moved, tmp_path, ["ffcv", "torchvision"])) == ["ffcv"]
    note = capsys.readouterr().err
    assert note.startswith("note: torchvision is left out: ") and "gone does not exist" in note
    with pytest.raises(UserError, match="none of the engines torchvision can read"):
        open_all(moved, tmp_path, ["torchvision"])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--path {path} --batch 49 --engines ffcv", "has only 48 images: give a --batch"),
        ("--path missing", "neither a store nor a folder"),
        ("--path {path} --engines ffcv,tf", "there is no 'tf'"),
        ("", "--path"),
    ],
)
def test_bad_options_are_one_sentence(
    options: str, reason: str, beton: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["loader", *options.format(path=beton).split(), "--device", "cpu"])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and reason in error and "Traceback" not in error
