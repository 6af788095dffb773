"""Which settings hold for which backbone and data set, and the learning rate of every iteration."""

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from dataprep.errors import UserError
from vicregl_fast.evaluation.segmentation.config import SegmentationConfig, base_sides, sides
from vicregl_fast.evaluation.segmentation.linear_segmentation import task_of
from vicregl_fast.evaluation.segmentation.protocol import (
    Optimiser,
    Protocol,
    learning_rate,
    output_stride_of,
    protocol_of,
)

SGD = Optimiser("sgd", weight_decay=5e-4, power=0.9, end=1e-4, warmup=0)
ADAMW = Optimiser("adamw", weight_decay=0.05, power=1.0, end=0.0, warmup=1500)
DEFAULTS = SegmentationConfig()


def test_the_published_protocol_of_a_resnet() -> None:
    expected = Protocol(
        cached=False, finetune=False, features="last", dropout=0.1, optimiser=SGD, rates=(0.01,), iterations=40_000,
        batch_size=16, crop=(512, 512), base_size=(2048, 512), window=None, stride=341, mean_of_all=True,
    )  # fmt: skip
    assert protocol_of(DEFAULTS, "resnet50", "voc12aug") == expected
    assert protocol_of(SegmentationConfig("published"), "resnet50") == expected
    cityscapes = protocol_of(DEFAULTS, "resnet50", "cityscapes", finetune=True)
    assert (cityscapes.crop, cityscapes.base_size, cityscapes.finetune) == ((512, 1024), (2048, 1024), True)
    assert output_stride_of(DEFAULTS, "resnet50", "voc12aug") == 8


def test_the_published_protocol_of_a_convnext() -> None:
    expected = Protocol(
        cached=False, finetune=False, features="stages", dropout=0.0, optimiser=ADAMW, rates=(1e-4,),
        iterations=160_000, batch_size=16, crop=(512, 512), base_size=(2048, 512), window=(512, 512), stride=341,
        mean_of_all=True,
    )  # fmt: skip
    assert protocol_of(DEFAULTS, "convnext_small", "ade20k") == expected
    assert protocol_of(DEFAULTS, "convnext_xlarge", "voc12aug").rates == (8e-5,)
    assert protocol_of(DEFAULTS, "convnext_xlarge", "voc12aug").iterations == 40_000
    assert output_stride_of(DEFAULTS, "convnext_small", "ade20k") is None


def test_other_folders_are_judged_quickly() -> None:
    for backbone in ("resnet50", "convnext_small"):
        made = protocol_of(DEFAULTS, backbone)
        assert made.cached and made.features == "last" and made.rates == (0.1,) and made.iterations == 300
        assert made.base_size is None and made.window is None and not made.mean_of_all
        assert output_stride_of(DEFAULTS, backbone, None) is None
    assert protocol_of(SegmentationConfig("cached"), "resnet50", "voc12aug").cached
    assert protocol_of(SegmentationConfig("augmented"), "resnet50", finetune=True).rates == (0.01,)


def test_what_is_given_holds() -> None:
    given = SegmentationConfig(
        iterations=7, batch_size=3, lr=(1.0, 2.0), optimiser="sgd", features="last", dropout=0.5, crop=(5, 6),
        base_size=(), test="slide", window=(8, 9), stride=4,
    )  # fmt: skip
    assert protocol_of(given, "convnext_small", "ade20k") == Protocol(
        cached=False, finetune=False, features="last", dropout=0.5, optimiser=SGD, rates=(1.0, 2.0), iterations=7,
        batch_size=3, crop=(5, 6), base_size=None, window=(8, 9), stride=4, mean_of_all=True,
    )  # fmt: skip
    for test, window in (("slide", (512, 512)), ("whole", None)):
        made = protocol_of(SegmentationConfig(test=test), "convnext_small", "ade20k")
        assert made.window == window and made.stride == 341


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(UserError, match="--finetune changes the backbone, whose maps the protocol cached keeps"):
        protocol_of(DEFAULTS, "resnet50", finetune=True)
    with pytest.raises(UserError, match="--finetune trains the backbone at one rate"):
        protocol_of(SegmentationConfig(lr=(0.1, 1.0)), "resnet50", "voc12aug", finetune=True)
    with pytest.raises(UserError, match="--stride 9 is more than --window has pixels"):
        SegmentationConfig(test="slide", window=(8, 20), stride=9)
    with pytest.raises(UserError, match="--stride 341 is more than --window has pixels"):
        SegmentationConfig(test="slide", window=(340, 600))
    with pytest.raises(UserError, match=r"--dropout is 1.0, but must be at least 0 and below 1"):
        SegmentationConfig(dropout=1.0)


@pytest.mark.parametrize("test", ["whole", None])
def test_a_window_is_for_the_sliding_test(test: str | None) -> None:
    with pytest.raises(UserError, match=r"^--window is for --test slide: give it, too$"):
        SegmentationConfig("published", test=test, window=(8, 8))
    with pytest.raises(UserError, match=r"^--window and --stride are for --test slide: give it, too$"):
        SegmentationConfig(test=test, window=(8, 8), stride=0)


def test_what_a_protocol_makes_no_use_of_is_refused(tmp_path: Path) -> None:
    crops, folder = SegmentationConfig(crop=(5, 6)), SegmentationConfig(cache_folder=tmp_path)
    with pytest.raises(UserError, match="--crop is of random crops, and the protocol cached keeps maps of whole"):
        protocol_of(crops, "resnet50")
    assert protocol_of(crops, "resnet50", "voc12aug").crop == (5, 6)
    for name in ("published", "augmented"):
        with pytest.raises(UserError, match=f"--cache_folder is for maps that are kept, and the protocol {name} keeps"):
            protocol_of(replace(folder, protocol=name), "resnet50")
    assert protocol_of(folder, "resnet50").cached


def test_the_paper_s_column() -> None:
    assert [task_of(name, False) for name in ("voc12aug", "cityscapes", "ade20k", None)] == [
        "voc12aug", "cityscapes", "ade20k", None,
    ]  # fmt: skip
    assert [task_of(name, True) for name in ("voc12aug", "cityscapes", None)] == ["voc12aug fine-tuned", None, None]


def test_all_settings_are_said() -> None:
    assert str(protocol_of(DEFAULTS, "resnet50", "voc12aug", finetune=True)) == (
        "a linear head on the last map of the fine-tuned backbone, dropout 0.1; 40000 iterations of 16 crops of "
        "512x512 pixels by sgd at 0.01; images are tried whole, resized within 2048x512"
    )
    assert str(protocol_of(SegmentationConfig("published", lr=(1e-3, 0.1), base_size=()), "convnext_tiny")) == (
        "a linear head on the last stages, dropout 0; 40000 iterations of 16 crops of 512x512 pixels by adamw at "
        "0.001, 0.1; images are tried through windows of 512x512"
    )


def test_the_rate_falls_as_a_power_of_what_is_left() -> None:
    assert learning_rate(SGD, 0.01, 0, 40_000) == pytest.approx(0.01)
    assert learning_rate(SGD, 0.01, 20_000, 40_000) == pytest.approx(1e-4 + 0.0099 * 0.5**0.9)
    assert learning_rate(SGD, 0.01, 39_999, 40_000) == pytest.approx(1e-4 + 0.0099 * (1 / 40_000) ** 0.9)


@pytest.mark.parametrize("rate", [1e-4, 1e-5])
def test_a_rate_below_the_published_end_does_not_rise(rate: float) -> None:
    assert [learning_rate(SGD, rate, iteration, 300) for iteration in (0, 150, 299)] == pytest.approx([rate] * 3)


def test_warm_up_multiplies_the_rate() -> None:
    assert learning_rate(ADAMW, 1e-4, 0, 160_000) == pytest.approx(1e-10)
    half = 1e-4 * (1 - 750 / 160_000) * (0.5 + 0.5e-6)
    assert learning_rate(ADAMW, 1e-4, 750, 160_000) == pytest.approx(half)
    assert learning_rate(ADAMW, 1e-4, 1500, 160_000) == pytest.approx(1e-4 * (1 - 1500 / 160_000))
    assert learning_rate(ADAMW, 1e-4, 159_999, 160_000) == pytest.approx(1e-4 / 160_000)
    # A short training is not all warm-up.
    assert learning_rate(ADAMW, 1e-4, 10, 100) == pytest.approx(0.9e-4)


@pytest.mark.parametrize("text", ["", "0", "1x2x3", "-5", "x5", "5.0"])
def test_wrong_sizes_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="must be a number of pixels"):
        sides(text)
    assert (sides("512"), sides("512x1024")) == ((512, 512), (512, 1024))


def test_base_sizes() -> None:
    assert [base_sides(text) for text in ("2048x512", "512x2048", "none")] == [(2048, 512), (2048, 512), ()]
    with pytest.raises(argparse.ArgumentTypeError, match="must be a long and a short side"):
        base_sides("512")
