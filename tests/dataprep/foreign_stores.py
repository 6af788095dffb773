"""Stores that this project did not write: ``.beton`` files by FFCV's own DatasetWriter, and shards by tarfile.

``python -m tests.dataprep.foreign_stores FOLDER`` writes the ``.beton`` files: FFCV's writer forks, which a process
with the threads of a test run must not.
"""

import io
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from dataprep.manifest import sha256_of
from tests.dataprep.pictures import smooth

COUNT = 12
LABELS = [k % 3 for k in range(COUNT)]


def picture(number: int) -> np.ndarray:
    """Image ``number`` of every store, uint8 [height, width, 3]."""
    return smooth(30 + 5 * number, 70 - 3 * number, seed=number)


def jpeg(number: int, mode: str = "RGB", **options: object) -> bytes:
    """The same as a JPEG."""
    return encoded(number, "JPEG", mode, **{"quality": 95, **options})


def encoded(number: int, kind: str, mode: str = "RGB", **options: object) -> bytes:
    """The same as a file of another kind."""
    buffer = io.BytesIO()
    Image.fromarray(picture(number)).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> None:
    """Writes a shard, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def write_betons(folder: Path) -> None:
    """Writes a store for each way in which the fields of a store differ from this project's."""
    from ffcv.fields import (
        BytesField,
        FloatField,
        IntField,
        JSONField,
        NDArrayField,
        RGBImageField,
    )
    from ffcv.fields.base import Field
    from ffcv.writer import DatasetWriter

    class Custom(IntField):
        pass

    whole: dict[str, Callable[[int], object]] = {"label": LABELS.__getitem__}
    kinds: dict[str, tuple[dict[str, Field], dict[str, Callable[[int], object]]]] = {
        "jpg": ({"image": RGBImageField("jpg"), "label": IntField()}, whole),
        "raw": ({"image": RGBImageField("raw"), "label": IntField()}, whole),
        "smart": ({"image": RGBImageField("smart", smart_threshold=8000), "label": IntField()}, whole),
        "proportion": ({"image": RGBImageField("proportion"), "label": IntField()}, whole),
        "turned_round": ({"label": IntField(), "image": RGBImageField("jpg")}, whole),
        "other_names": ({"target": IntField(), "pixels": RGBImageField("jpg")}, {"target": LABELS.__getitem__}),
        "more": (
            {
                "meta": JSONField(),
                "image": RGBImageField("jpg"),
                "vector": NDArrayField(np.dtype("f4"), (3,)),
                "id": IntField(),
                "label": IntField(),
                "empty": BytesField(),
                "weight": FloatField(),
            },
            {
                **whole,
                "meta": lambda k: {"k": k},
                "vector": lambda k: np.full(3, k, "f4"),
                "id": lambda k: 100 + k,
                "empty": lambda k: np.zeros(0, np.uint8),
                "weight": float,
            },
        ),
        "image_only": ({"image": RGBImageField("jpg")}, {}),
        "negative": ({"image": RGBImageField("jpg"), "label": IntField()}, {"label": lambda k: -3}),
        "some_negative": ({"image": RGBImageField("jpg"), "label": IntField()}, {"label": lambda k: k % 3 - 1}),
        "huge": ({"image": RGBImageField("jpg"), "label": IntField()}, {"label": lambda k: 10**12 + k}),
        "float_label": ({"image": RGBImageField("jpg"), "label": FloatField()}, {"label": float}),
        "two_ints": ({"image": RGBImageField("jpg"), "a": IntField(), "b": IntField()}, {"a": int, "b": int}),
        "two_images": ({"left": RGBImageField("jpg"), "right": RGBImageField("raw")}, {}),
        "no_image": ({"label": IntField()}, whole),
        "custom": ({"image": RGBImageField("jpg"), "label": Custom()}, whole),
    }
    np.random.seed(0)  # "proportion" draws by it
    for name, (fields, values) in kinds.items():
        samples = [tuple(values.get(field, picture)(k) for field in fields) for k in range(COUNT)]
        DatasetWriter(str(folder / f"{name}.beton"), fields, page_size=1 << 21, num_workers=1).from_indexed_dataset(
            samples
        )


def sample(number: int, label: str | None = None, ending: str = "jpg", **more: bytes) -> dict[str, bytes]:
    """The members of one sample of a shard."""
    key = f"{1000 + number}"
    labels = {} if label is None else {f"{key}.cls": label.encode()}
    return {f"{key}.{ending}": jpeg(number), **labels, **{f"{key}.{name}": data for name, data in more.items()}}


def shards_of(
    folder: Path, samples: list[dict[str, bytes]], names: tuple[str, ...] = ("00007.tar", "00012.tar")
) -> Path:
    """Spreads samples over shards."""
    for place, name in enumerate(names):
        part = samples[place * len(samples) // len(names) : (place + 1) * len(samples) // len(names)]
        write_tar(folder / name, {name: data for members in part for name, data in members.items()})
    return folder


def contents(folder: Path) -> dict[str, str]:
    """Digests of all files in a folder."""
    return {str(path.relative_to(folder)): sha256_of(path) for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    write_betons(Path(sys.argv[1]))
