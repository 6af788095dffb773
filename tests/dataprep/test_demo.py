"""The drawn image set: a function of its seed, with masks and labels that fit the pictures."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import rgb_to_hsv
from PIL import Image

from dataprep.dead_leaves import dead_leaves, noise
from dataprep.demo import CLASS_NAMES, SIZES, draw_picture, drop_leaves, places, write_demo
from dataprep.errors import UserError
from dataprep.objects import Pose, draw_object


def digests(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "set"
    write_demo(folder, images=48, seed=3, workers=2)
    return folder


def test_set_depends_on_the_seed_only(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    write_demo(tmp_path / "again", images=48, seed=3, workers=1)
    write_demo(tmp_path / "other", images=48, seed=4, workers=2)
    assert digests(tmp_path / "again") == digests(drawn)
    assert not set(digests(tmp_path / "other").values()) & set(digests(drawn).values())


def test_a_larger_set_begins_with_the_smaller_one() -> None:
    assert list(places(100))[:60] == list(places(60))


def test_parts_are_balanced() -> None:
    both = list(places(1200))
    for part, count in (("train", 1000), ("val", 200)):
        labels = [place.label for place in both if place.part == part]
        assert np.bincount(labels).tolist() == [count // 8] * 8


def test_label_is_the_class_with_the_largest_mask_area(drawn: Path) -> None:
    masks = sorted(drawn.glob("*_masks/*/*.png"))
    assert len(masks) == 48 and len(list(drawn.glob("val_masks/*/*.png"))) == 8
    for path in masks:
        mask = np.asarray(Image.open(path))
        areas = np.bincount(mask.ravel(), minlength=9)[1:]
        assert mask.dtype == np.uint8 and len(areas) == 8
        assert CLASS_NAMES[int(areas.argmax())] == path.parent.name
        assert 1 <= np.count_nonzero(areas) <= 4
        picture = drawn / path.parts[-3].removesuffix("_masks") / path.parent.name / f"{path.stem}.jpg"
        assert Image.open(picture).size == mask.shape[::-1]


def test_sizes_vary() -> None:
    pictures = [draw_picture(0, index, index % 8) for index in range(16)]
    assert {picture.image.shape[:2] for picture in pictures} == set(SIZES)
    shares = [(picture.mask == picture.label + 1).mean() for picture in pictures]
    assert max(shares) > 3 * min(shares)


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_mask_aligns_with_the_pixels_drawn(name: str) -> None:
    before = np.full((120, 140, 3), 1000, np.float32)
    after = before.copy()
    inside = draw_object(np.random.default_rng(1), name, Pose(60.0, 70.0, 40.0, 0.7, 0.9), after)
    touched = (after != before).any(axis=2)
    assert touched[inside].all()
    assert (after[inside] < 700).all()  # at least half of it is paint, below 400
    edge = touched & ~inside
    assert (after[~touched] == 1000).all() and edge.sum() < 0.35 * inside.sum()
    y, x = np.nonzero(touched)
    assert np.hypot(x + 0.5 - 60, y + 0.5 - 70).max() < 41.5


def test_leaves_in_front_are_background() -> None:
    covered = 0
    for seed in range(6):
        image, mask = np.full((90, 110, 3), 1000, np.float32), np.ones((90, 110), np.uint8)
        drop_leaves(np.random.default_rng(seed), image, mask)
        assert (mask[(image < 500).all(axis=2)] == 0).all()  # at least half leaf, none above 255
        assert (mask[(image == 1000).all(axis=2)] == 1).all()
        covered += int((mask == 0).sum())
    assert covered > 500


def test_textures_differ_under_the_same_colours_and_outline_size() -> None:
    """Of two classes drawn from one generator state, the colours' share never comes out alike."""
    seen = []
    for name in CLASS_NAMES:
        image = np.zeros((100, 100, 3), np.float32)
        draw_object(np.random.default_rng(5), name, Pose(50.0, 50.0, 45.0, 0.0, 1.0), image)
        seen.append(image)
    for i, first in enumerate(seen):
        for second in seen[i + 1 :]:
            both = (first > 0).any(axis=2) & (second > 0).any(axis=2)
            assert abs(first - second)[both].mean() > 15


def test_background_has_the_spectrum_of_natural_images() -> None:
    """Power falls about as frequency^-2 (between -1.3 and -3), as in photographs; white noise gives 0."""
    power = np.zeros((128, 128))
    for seed in range(12):
        grey = dead_leaves(np.random.default_rng(seed), 128, 128).mean(axis=2)
        window = np.hanning(128)[:, None] * np.hanning(128)
        power += abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2
    radius = np.hypot(*np.meshgrid(*[np.fft.fftfreq(128) * 128] * 2))
    rings = np.arange(3, 40)
    spectrum = [power[(radius >= ring - 0.5) & (radius < ring + 0.5)].mean() for ring in rings]
    slope = np.polyfit(np.log(rings), np.log(spectrum), 1)[0]
    assert -3 < slope < -1.3


def test_noise_has_unit_variance_and_the_asked_scale() -> None:
    field = noise(np.random.default_rng(0), 200, 200, 10)
    assert field.std() == pytest.approx(1, abs=1e-3)
    near = (field[:, 2:] * field[:, :-2]).mean()
    far = (field[:, 30:] * field[:, :-30]).mean()
    assert near > 0.8 and abs(far) < 0.3


@pytest.mark.parametrize("label", range(8))
def test_a_class_has_a_usual_hue(label: int) -> None:
    """The strong colours of 24 objects turn about an eighth of the circle for each class."""
    turns = np.concatenate([_strong_hues(100 * label + index, label) for index in range(24)])
    mean = np.angle(np.exp(2j * np.pi * turns).mean()) / (2 * np.pi)
    assert abs((mean - label / 8 + 0.5) % 1 - 0.5) < 0.03


def _strong_hues(index: int, label: int) -> np.ndarray:
    """Hues in turns of the saturated pixels of one object."""
    image = np.zeros((40, 40, 3), np.float32)
    inside = draw_object(np.random.default_rng((7, index)), CLASS_NAMES[label], Pose(20.0, 20.0, 18.0, 0.0, 1.0), image)
    hue, saturation, _ = rgb_to_hsv(np.clip(image[inside] / 255, 0, 1)).T
    return hue[saturation > 0.5]


def test_all_pictures_stand_in_one_light() -> None:
    """Else a network learns the light: mean grey levels of backgrounds lie close together."""
    pictures = [draw_picture(0, index, index % 8) for index in range(24)]
    means = np.array([picture.image[picture.mask == 0].mean() for picture in pictures])
    assert means.std() < 8


def test_existing_folders_stay_as_they_are(drawn: Path) -> None:
    before = digests(drawn)
    with pytest.raises(UserError, match="exists and is not an empty folder"):
        write_demo(drawn, images=48)
    assert digests(drawn) == before and [path.name for path in drawn.parent.iterdir()] == [drawn.name]


@pytest.mark.parametrize(
    ("options", "says"),
    [({"images": 47}, "at least 48"), ({"seed": -1}, "--seed -1"), ({"workers": 0}, "--workers 0")],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, int], says: str) -> None:
    with pytest.raises(UserError, match=says):
        write_demo(tmp_path / "set", **options)
    assert list(tmp_path.iterdir()) == []
