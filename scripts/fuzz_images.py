"""Converts thousands of sound, damaged and random image files, and checks that each is stored right or named.

    .venv/bin/python scripts/fuzz_images.py --seed 0 --files 10000 [--workers N] [--keep FOLDER]

The files are small, of every format that is taken: sound ones; cut, bit-flipped, overwritten, spliced and
header-swapped ones; random bytes behind a format's first bytes. They are converted by ``write_store`` with
``on_error="skip"``. It is an error if a sound file is left out or stored as another picture, if a file is neither
stored nor named, if a worker is lost, if anything but notes is printed, or if the store does not verify and decode.
"""

import argparse
import contextlib
import io
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataprep.ffcv_store import write_store
from dataprep.manifest import Manifest, read_manifest
from dataprep.sources import list_images
from dataprep.stored_samples import list_samples, read_bytes
from dataprep.verify import verify_store
from tests.dataprep.files import deep_png, every_format, pnm, tiff
from tests.dataprep.pictures import smooth

MAX_SIDE = 64
SOUND, DITHERED = "sound", ("bits.png", "a.pbm")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=max(2, len(os.sched_getaffinity(0))))
    parser.add_argument("--keep", type=Path, help="folder in which the files and the store stay")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        expected = write_files(folder / "images", options.files, random.Random(options.seed))
        begun = time.monotonic()
        said, manifest = convert(folder, options.workers)
        print(f"converted {options.files} files in {time.monotonic() - begun:.1f} s with {options.workers} workers")
        faults = [*check_speech(said), *check_store(folder, manifest, expected)]
        faults += check_verification(folder / "s.beton", options.workers)
    report(manifest, faults)
    return 1 if faults else 0


def write_files(folder: Path, count: int, chance: random.Random) -> dict[str, np.ndarray]:
    """Writes the files; returns the picture of each sound one by its name."""
    folder.mkdir(parents=True)
    expected: dict[str, np.ndarray] = {}
    while count > 0:
        picture = smooth(chance.randrange(8, 90), 2 * chance.randrange(4, 45), chance.randrange(1 << 30))
        sound = every_format(picture) | deep_formats(picture)
        contents = list(sound.values())
        for kind, data in sound.items():
            sort = chance.choice([SOUND, *DAMAGES])
            name = f"{count:06d}-{sort}-{kind}"
            (folder / name).write_bytes(data if sort == SOUND else DAMAGES[sort](data, chance.choice(contents), chance))
            if sort == SOUND:
                expected[name] = as_rgb(picture, kind)
            count -= 1
            if not count:
                break
    return expected


def deep_formats(picture: np.ndarray) -> dict[str, bytes]:
    """Of 16 bits, in layouts that Pillow, OpenCV and neither reads."""
    deep = picture.astype(np.uint16) * 257
    return {
        "deep.png": deep_png(deep),
        "grey_deep.png": deep_png(deep[..., :1]),
        "grey_deep.pgm": pnm(deep[..., 0], 0xFFFF),
        "deep.tif": tiff(deep, 2),
        "planes.tif": tiff(np.concatenate([picture, picture[..., :1]], 2), 2, separate=True),
        "grey_deep.tif": tiff(deep[..., :1], 1, order=">"),
    }


def as_rgb(picture: np.ndarray, kind: str) -> np.ndarray:
    image = Image.fromarray(picture)
    if kind in DITHERED:
        image = image.convert("L").convert("1")
    elif kind.startswith("grey_deep"):
        image = image.getchannel(0)
    elif kind.startswith("grey") or kind == "a.pgm":
        image = image.convert("L")
    return np.asarray(image.convert("RGB")).astype(int)


def cut(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def flip(data: bytes, other: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 3, 20])):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def flip_header(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return flip(data[:80], other, chance) + data[80:]


def extremes(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Overwrites sizes and offsets with what overflows."""
    at, value = chance.randrange(min(len(data), 200)), chance.choice([b"\xff", b"\0", b"\x7f", b"\x80"])
    width = chance.choice([1, 2, 4, 8])
    return data[:at] + width * value + data[at + width :]


def splice(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :]


def swap_header(data: bytes, other: bytes, chance: random.Random) -> bytes:
    length = chance.choice([2, 4, 8, 16, 64])
    return other[:length] + data[length:]


def insert(data: bytes, other: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + chance.randbytes(chance.choice([1, 7, 300])) + data[at:]


def noise(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return data[: chance.choice([0, 4, 12, 40])] + chance.randbytes(chance.randrange(1, 2000))


DAMAGES = {damage.__name__: damage for damage in (cut, flip, flip_header, extremes, splice, swap_header, insert, noise)}


def convert(folder: Path, workers: int) -> tuple[str, Manifest]:
    """Returns what the conversion printed, down to what C libraries print."""
    with tempfile.TemporaryFile("w+") as heard:
        before = os.dup(2)
        os.dup2(heard.fileno(), 2)
        try:
            # in its whole extent: sound, damaged and random files have values of all 16 bits
            source = list_images(folder / "images")
            write_store(
                source,
                folder / "s.beton",
                max_side=MAX_SIDE,
                quality=95,
                range="full",
                workers=workers,
                on_error="skip",
            )
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
        heard.seek(0)
        return heard.read(), read_manifest(folder / "s.beton")


def check_speech(said: str) -> list[str]:
    lines = [line.strip() for line in said.replace("\r", "\n").splitlines()]
    odd = [line for line in lines if line and not line.startswith("note: ") and "images" not in line]
    return [f"printed: {line}" for line in odd]


def check_store(folder: Path, manifest: Manifest, expected: dict[str, np.ndarray]) -> list[str]:
    faults = []
    source = list_images(folder / "images").files
    skipped = {image.path: image.reason for image in manifest.skipped}
    faults += [f"{name} is left out without a reason" for name, why in skipped.items() if not why]
    faults += [f"{name} crashes its decoder" for name, why in skipped.items() if "crash" in why]
    faults += [f"{name} is sound and left out: {skipped[name]}" for name in expected if name in skipped]
    stored = [name for name in source if name not in skipped]
    samples = list_samples(folder / "s.beton", manifest)
    if len(stored) != len(samples.table) or manifest.count != len(stored):
        return [*faults, f"{len(source)} files gave {len(samples.table)} images and {len(skipped)} reasons"]
    for name, row in zip(stored, samples.table, strict=True):
        if name in expected:
            faults += compare(name, read_bytes(row, samples.files), expected[name])
    return faults


def compare(name: str, jpeg: bytes, picture: np.ndarray) -> list[str]:
    pixels = np.asarray(Image.open(io.BytesIO(jpeg))).astype(int)
    height, width = picture.shape[:2]
    scale = min(1, MAX_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if pixels.shape != (size[1], size[0], 3):
        return [f"{name} is stored at {pixels.shape}"]
    reduced = Image.fromarray(picture.astype(np.uint8)).resize(size, Image.Resampling.LANCZOS)
    apart = abs(pixels - np.asarray(reduced)).mean()
    return [f"{name} is another picture, by {apart:.1f}"] if apart > (30 if name.endswith(DITHERED) else 6) else []


def check_verification(store: Path, workers: int) -> list[str]:
    """Decodes every image by FFCV's decoder, and converts 500 of them again."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            verify_store(store, sample=500, workers=workers)
    except Exception as error:
        return [f"verify: {error!r}"]
    return []


def report(manifest: Manifest, faults: list[str]) -> None:
    print(
        f"{manifest.count} stored, {manifest.originals} of them with their own bytes; {len(manifest.skipped)} left out"
    )
    reasons = Counter(" ".join(word for word in image.reason.split() if word.isalpha()) for image in manifest.skipped)
    for why, count in reasons.most_common(12):
        print(f"  {count:6d}  {why}")
    print(f"{len(faults)} faults")
    for fault in faults[:40]:
        print(f"  {fault}")


if __name__ == "__main__":
    sys.exit(main())
