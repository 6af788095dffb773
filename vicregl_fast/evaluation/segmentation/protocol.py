"""What a backbone is judged with: the settings that were given, and those of the protocol for the others.

Sources: the paper's appendix, and mmsegmentation 0.x for what it leaves open (docs/method.md, Evaluation).
"""

from dataclasses import dataclass

from dataprep.errors import UserError
from vicregl_fast.evaluation.segmentation.config import DatasetName, SegmentationConfig, Sides
from vicregl_fast.models.config import BackboneConfig

RESNETS = ("resnet", "resnext", "wide_resnet")
DILATED_STRIDE = 8
"""Pixels per cell of a ResNet whose last two layers are dilated, as published."""
WARMUP = 1500
WARMUP_RATIO = 1e-6
WARMUP_SHARE = 0.1
"""Of fewer iterations than the published ones, at most this share is warm-up."""


@dataclass(frozen=True)
class Optimiser:
    """How weights are trained.

    Attributes:
        kind: ``sgd``, which has a momentum of 0.9, or ``adamw``.
        weight_decay: of all parameters.
        power, end: the learning rate falls to ``end``, unless it begins below, as the share of iterations that is left,
            to this power.
        warmup: iterations in which a factor of the learning rate rises linearly from nearly 0 to 1.
    """

    kind: str
    weight_decay: float
    power: float
    end: float
    warmup: int


_OPTIMISERS = {
    "sgd": Optimiser("sgd", weight_decay=5e-4, power=0.9, end=1e-4, warmup=0),
    "adamw": Optimiser("adamw", weight_decay=0.05, power=1.0, end=0.0, warmup=WARMUP),
}


@dataclass(frozen=True)
class Protocol:
    """All settings, decided.

    Attributes:
        cached: whether heads learn from kept maps of whole images; otherwise the backbone sees random crops.
        finetune: whether the backbone learns, too.
        features: ``last`` or ``stages``.
        dropout: of the head, of whole channels.
        optimiser: what trains.
        rates: learning rates at the start.
        iterations, batch_size: how long, and by how many images a step.
        crop: height and width of random crops.
        base_size: long and short side within which images are resized first; None leaves them as they are.
        window: height and width of the sliding window at test; None sees images whole.
        stride: pixels by which it moves.
        mean_of_all: whether the loss is a mean over all pixels, those ignored counting as 0; else over those labelled.
    """

    cached: bool
    finetune: bool
    features: str
    dropout: float
    optimiser: Optimiser
    rates: tuple[float, ...]
    iterations: int
    batch_size: int
    crop: Sides
    base_size: Sides | None
    window: Sides | None
    stride: int
    mean_of_all: bool

    def __str__(self) -> str:
        """All of them, for people."""
        maps = "the last map" if self.features == "last" else "the last stages"
        seen = "whole images" if self.cached else f"crops of {self.crop[0]}x{self.crop[1]} pixels"
        test = "whole" if self.window is None else f"through windows of {self.window[0]}x{self.window[1]}"
        base = "" if self.base_size is None else f", resized within {self.base_size[0]}x{self.base_size[1]}"
        rates = ", ".join(f"{rate:g}" for rate in self.rates)
        return (
            f"a linear head on {maps}{' of the fine-tuned backbone' * self.finetune}, dropout {self.dropout:g}; "
            f"{self.iterations} iterations of {self.batch_size} {seen} by {self.optimiser.kind} at {rates}; "
            f"images are tried {test}{base}"
        )


def protocol_of(
    config: SegmentationConfig, backbone: str, dataset: DatasetName | None = None, finetune: bool = False
) -> Protocol:
    """Decides all settings for a backbone of this name.

    Raises:
        UserError: a setting is given of which the protocol makes no use; or fine-tuning with kept maps, or with several
            learning rates.
    """
    name = name_of(config, dataset)
    published, convnext = name == "published", BackboneConfig(backbone).is_convnext
    _check_unused(name, config)
    _check_finetuning(name, config, finetune)
    as_convnext = published and convnext
    kind = config.optimiser or ("adamw" if as_convnext else "sgd")
    iterations = config.iterations or ((160_000 if dataset == "ade20k" else 40_000) if published else 300)
    base = (2048, 1024 if dataset == "cityscapes" else 512) if published else ()
    crop = (512, 1024 if dataset == "cityscapes" else 512) if published else (256, 256)
    test = config.test or ("slide" if as_convnext else "whole")
    return Protocol(
        cached=name == "cached",
        finetune=finetune,
        features=config.features or ("stages" if as_convnext else "last"),
        dropout=config.dropout if config.dropout is not None else 0.0 if as_convnext else 0.1,
        optimiser=_OPTIMISERS[kind],
        rates=config.lr or (_rate(kind, published, finetune, backbone),),
        iterations=iterations,
        batch_size=config.batch_size,
        crop=config.crop or crop,
        base_size=(base if config.base_size is None else config.base_size) or None,  # type: ignore[arg-type]
        window=config.used_window if test == "slide" else None,
        stride=config.used_stride,
        mean_of_all=published,
    )


def name_of(config: SegmentationConfig, dataset: DatasetName | None) -> str:
    """The protocol that was asked for, or else ``published`` for a named data set and ``cached`` for other folders."""
    return config.protocol or ("published" if dataset is not None else "cached")


def output_stride_of(config: SegmentationConfig, backbone: str, dataset: DatasetName | None) -> int | None:
    """Pixels per cell of a backbone's map, if other than in training."""
    published = name_of(config, dataset) == "published"
    return DILATED_STRIDE if published and backbone.startswith(RESNETS) else None


def learning_rate(optimiser: Optimiser, rate: float, iteration: int, iterations: int) -> float:
    """The learning rate of an iteration, counted from 0: mmsegmentation's policy ``poly`` with a linear warm-up.

    Args:
        optimiser: its power, end and warm-up.
        rate: at the start, were there no warm-up.
        iteration, iterations: which one of how many.
    """
    end = min(optimiser.end, rate)  # so that no rate rises
    regular = end + (rate - end) * (1 - iteration / iterations) ** optimiser.power
    warmup = min(optimiser.warmup, int(iterations * WARMUP_SHARE))
    if iteration >= warmup:
        return regular
    return regular * (1 - (1 - iteration / warmup) * (1 - WARMUP_RATIO))


def _rate(kind: str, published: bool, finetune: bool, backbone: str) -> float:
    if kind == "adamw":
        return (8e-5 if "xlarge" in backbone else 1e-4) if published or finetune else 1e-3
    return 0.01 if published or finetune else 0.1


def _check_unused(name: str, config: SegmentationConfig) -> None:
    """Refuses what was given for another protocol."""
    if name == "cached" and config.crop is not None:
        raise UserError(
            "--crop is of random crops, and the protocol cached keeps maps of whole images: leave it out, or give "
            "--protocol augmented or published"
        )
    if name != "cached" and config.cache_folder is not None:
        raise UserError(
            f"--cache_folder is for maps that are kept, and the protocol {name} keeps none: leave it out, or give "
            "--protocol cached"
        )


def _check_finetuning(name: str, config: SegmentationConfig, finetune: bool) -> None:
    if not finetune:
        return
    if name == "cached":
        raise UserError(
            "--finetune changes the backbone, whose maps the protocol cached keeps: give --protocol augmented or "
            "published"
        )
    if len(config.lr) > 1:
        raise UserError("--finetune trains the backbone at one rate: give one --lr")
