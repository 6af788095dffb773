"""Shards: what their indexes say, how they are cut, and what may be replaced."""

import io
import json
import subprocess
import sys
import tarfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataprep.errors import UserError
from dataprep.images import StoredImage
from dataprep.manifest import manifest_path, read_manifest, sha256_of
from dataprep.process_identity import this_process
from dataprep.shard_index import INDEX, read_index
from dataprep.shards import ShardWriter
from dataprep.sources import list_images
from dataprep.webdataset_store import write_shards
from tests.dataprep.pictures import write_jpeg, write_tree


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Six images in two classes."""
    write_tree(tmp_path / "images")
    write_shards(list_images(tmp_path / "images"), tmp_path / "s", workers=1)
    return tmp_path / "s"


def noisy_folder(folder: Path, count: int = 7) -> list[bytes]:
    """JPEGs of about half a megabyte each."""
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (490, 490, 3), np.uint8)
    for index in range(count):
        Image.fromarray(np.roll(noise, index)).save(folder / f"{index}.jpg", quality=97)
    return [(folder / f"{index}.jpg").read_bytes() for index in range(count)]


def test_index_finds_the_bytes_of_every_image(tmp_path: Path) -> None:
    files = noisy_folder(tmp_path / "images")
    write_shards(list_images(tmp_path / "images"), tmp_path / "s", shard_mib=1, workers=2)
    index = read_index(tmp_path / "s")
    assert index.dtype.names == ("shard", "offset", "size", "height", "width", "label")
    assert [str(index.dtype[name]) for name in index.dtype.names] == ["uint32", "uint64", "uint64"] + ["uint32"] * 2 + [
        "int64"
    ]
    assert set(index["label"]) == {-1} and set(index["shard"]) == set(range(index["shard"][-1] + 1))
    for row, data in zip(index, files, strict=True):
        shard = (tmp_path / "s" / f"shard-{row['shard']:06d}.tar").read_bytes()
        assert shard[row["offset"] : row["offset"] + row["size"]] == data
        assert (row["height"], row["width"]) == (490, 490)


def test_shards_are_filled_to_their_size(tmp_path: Path) -> None:
    noisy_folder(tmp_path / "images")
    write_shards(list_images(tmp_path / "images"), tmp_path / "s", shard_mib=1, workers=1)
    shards = sorted((tmp_path / "s").glob("*.tar"))
    assert len(shards) > 2
    for first, second in pairwise(shards):
        with tarfile.open(second) as tar:
            following = tar.next()
        assert following is not None
        assert first.stat().st_size <= 1 << 20 < first.stat().st_size + following.size + 512


def test_the_padding_of_a_shard_counts(tmp_path: Path) -> None:
    """Two of these images take 22,528 bytes with the end mark, which tarfile pads to 30,720."""
    image = StoredImage(bytes(10_000), 1, 1, original=True)
    with ShardWriter(tmp_path, 30_000) as shards:
        shards.write([(image, -1)] * 3)
    assert [path.stat().st_size for path in sorted(tmp_path.glob("*.tar"))] == [20_480] * 3
    with ShardWriter(tmp_path, 30_720) as shards:
        shards.write([(image, -1)] * 3)
    assert shards.index()["shard"].tolist() == [0, 0, 1]


def test_an_image_larger_than_a_shard_has_one_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "images" / "1.jpg", quality=97)
    for name in ("0", "2", "3"):
        write_jpeg(tmp_path / "images" / f"{name}.jpg")
    write_shards(list_images(tmp_path / "images"), tmp_path / "s", max_side=1000, shard_mib=1, workers=1)
    assert read_index(tmp_path / "s")["shard"].tolist() == [0, 1, 2, 2]


def test_dalis_index_lists_the_members_where_they_are(store: Path) -> None:
    lines = (store / "shard-000000.idx").read_text().splitlines()
    assert lines[0] == "v1.2 6" and len(lines) == 7
    with tarfile.open(store / "shard-000000.tar") as tar:
        members = [f"{member.name.split('.')[1]} {member.offset_data} {member.size} {member.name}" for member in tar]
    assert lines[1:] == [f"{members[i]} {members[i + 1]}" for i in range(0, 12, 2)]
    assert lines[6].endswith("1 000000005.cls")


def test_dalis_index_is_that_of_its_own_tool(store: Path, tmp_path: Path) -> None:
    tool = Path(sys.executable).parent / "wds2idx"
    if not tool.exists():
        pytest.skip("needs nvidia-dali")
    subprocess.run([tool, store / "shard-000000.tar", tmp_path / "theirs"], check=True, capture_output=True)
    assert (store / "shard-000000.idx").read_text() == (tmp_path / "theirs").read_text()


def test_dali_reads_the_shards(tmp_path: Path) -> None:
    dali = pytest.importorskip("nvidia.dali")
    fn = pytest.importorskip("nvidia.dali.fn")
    files = write_tree(tmp_path / "images")
    write_shards(list_images(tmp_path / "images"), tmp_path / "s", workers=1)

    @dali.pipeline_def(batch_size=6, num_threads=1, device_id=None)
    def members():
        paths, index_paths = ([str(tmp_path / "s" / f"shard-000000.{end}")] for end in ("tar", "idx"))
        images, labels = fn.readers.webdataset(paths=paths, index_paths=index_paths, ext=["jpg", "cls"])
        return images, labels

    images, labels = members().run()
    assert [bytes(np.array(image)) for image in images] == list(files.values())
    assert [int(bytes(np.array(label))) for label in labels] == [0, 0, 0, 1, 1, 1]


def test_bytes_are_a_function_of_the_images(store: Path, tmp_path: Path) -> None:
    second = write_shards(list_images(tmp_path / "images"), tmp_path / "again", workers=2)
    assert second == read_manifest(store)
    for path in store.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_digest_is_that_of_sha256sum(store: Path) -> None:
    manifest = read_manifest(store)
    assert [file.name for file in manifest.files] == ["index.npy", "shard-000000.idx", "shard-000000.tar"]
    command = "sha256sum index.npy shard-* | sha256sum"
    printed = subprocess.run(command, shell=True, cwd=store, capture_output=True, text=True, check=True)
    assert printed.stdout.split()[0] == manifest.sha256
    assert manifest.size_bytes == sum((store / file.name).stat().st_size for file in manifest.files)


def rewrite_index(store: Path, index: np.ndarray) -> None:
    """Puts another index in, of which the manifest knows the size."""
    np.save(store / "index.npy", index)
    record = json.loads(manifest_path(store).read_text())
    record["files"][0]["size_bytes"] = (store / "index.npy").stat().st_size
    manifest_path(store).write_text(json.dumps(record))


def test_damaged_stores_are_refused(store: Path) -> None:
    index = read_index(store)
    outside = index.copy()
    outside["offset"][3] += 1 << 40
    rewrite_index(store, outside)
    with pytest.raises(UserError, match=r"index\.npy names images outside of the shards"):
        read_index(store)
    rewrite_index(store, index[:4])
    with pytest.raises(UserError, match=r"index\.npy is not the index of 6 images"):
        read_index(store)
    rewrite_index(store, index)
    assert read_index(store).dtype == INDEX
    shard = (store / "shard-000000.tar").read_bytes()
    (store / "shard-000000.tar").write_bytes(shard[:-1])
    with pytest.raises(UserError, match=rf"shard-000000\.tar has {len(shard) - 1} bytes where .* {len(shard)}"):
        read_index(store)
    (store / "shard-000000.tar").unlink()
    with pytest.raises(UserError, match=r"shard-000000\.tar is missing"):
        read_index(store)
    (store / "index.npy").unlink()
    with pytest.raises(UserError, match=r"there is no index .*index\.npy"):
        read_index(store)
    with pytest.raises(UserError, match="cannot be read"):
        read_index(store.parent / "images")
    with pytest.raises(UserError, match=r"there is no folder of shards .*nowhere"):
        read_index(store.parent / "nowhere")


def test_other_folders_are_never_replaced(tmp_path: Path) -> None:
    write_tree(tmp_path / "images")
    source = list_images(tmp_path / "images")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file is a file; give the name of a folder"):
        write_shards(source, tmp_path / "file", overwrite=True)
    (tmp_path / "file").unlink()
    with pytest.raises(UserError, match="--shard_mib 0 is too few"):
        write_shards(source, tmp_path / "s", shard_mib=0)
    with pytest.raises(UserError, match="folder with other things than shards"):
        write_shards(source, tmp_path / "images", overwrite=True)
    assert len(list_images(tmp_path / "images")) == 6
    (tmp_path / "empty").mkdir()
    assert write_shards(source, tmp_path / "empty", workers=1).count == 6
    digest = sha256_of(tmp_path / "empty" / "shard-000000.tar")
    (tmp_path / "images" / "bee" / "1.jpg").unlink()
    second = write_shards(list_images(tmp_path / "images"), tmp_path / "empty", workers=1, overwrite=True)
    assert second.count == 5 and sha256_of(tmp_path / "empty" / "shard-000000.tar") != digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "images"]


def test_images_decode_from_the_shards(store: Path, tmp_path: Path) -> None:
    with tarfile.open(store / "shard-000000.tar") as tar:
        file = tar.extractfile("000000004.jpg")
        assert file is not None
        stored = np.asarray(Image.open(io.BytesIO(file.read())))
    assert np.array_equal(stored, np.asarray(Image.open(tmp_path / "images" / "bee" / "1.jpg")))


def test_a_store_that_a_killed_replacement_had_moved_aside_is_not_lost(store: Path) -> None:
    store.rename(store.with_name(f".s.{replace(this_process(), started=1)}.old"))
    with pytest.raises(UserError, match="exists; remove it, choose another name"):
        write_shards(list_images(store.parent / "images"), store, workers=1)
    assert read_manifest(store).count == 6 and len(read_index(store)) == 6
