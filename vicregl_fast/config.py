"""The whole configuration of a run: typed, from YAML and the command line, refused when unknown."""

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from dataprep.command_line import with_underscores
from dataprep.errors import UserError
from vicregl_fast.augment.recipe import ViewsConfig
from vicregl_fast.data.config import DataConfig
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.optim.config import OptimConfig
from vicregl_fast.seeds import check_seed


@dataclass(frozen=True)
class TrainingConfig:
    """How the loop runs.

    Attributes:
        device: auto takes CUDA where there is one.
        precision: auto is bf16 where the hardware multiplies it fast, else fp16 on CUDA and fp32 on a CPU.
        channels_last: memory format of network and views.
        compile: pass the network through torch.compile.
        deterministic: on CUDA, repeatable kernels at some cost of speed.
        log_every: steps between rows in metrics.jsonl.
        checkpoint_every: steps between checkpoints within an epoch; every epoch ends with one in any case.
        val_every: epochs between validation passes; the last epoch always has one.
        clip_norm: largest gradient norm; null for no clipping.
        patience: non-finite steps in a row, each skipped and counted, after which the run goes back to the weights of
            the last good checkpoint, then of the one before, and on with the next images; without any left it ends.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    channels_last: bool = True
    compile: bool = False
    deterministic: bool = False
    log_every: int = 10
    checkpoint_every: int = 1000
    val_every: int = 1
    clip_norm: float | None = None
    patience: int = 5

    def __post_init__(self) -> None:
        if min(self.log_every, self.checkpoint_every, self.val_every, self.patience) < 1:
            raise UserError("train.log_every, checkpoint_every, val_every and patience must be at least 1")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise UserError(f"train.clip_norm is {self.clip_norm}; give a norm above 0, or null for no clipping")


@dataclass(frozen=True)
class RunConfig:
    """One pretraining run; the defaults are the released ResNet-50 recipe (method, section 5).

    Attributes:
        epochs: passes over the images.
        batch_size: global, over all processes.
        run_dir: where the run's files go; running the same command again resumes what lies there.
        seed: of every random choice.
        data: where images come from.
        views: how many views, their sizes and scales.
        model: the network.
        loss: the objective.
        optim: optimiser and schedule.
        train: how the loop runs.
    """

    epochs: int = 300
    batch_size: int = 2048
    run_dir: str = "runs/vicregl"
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    views: ViewsConfig = field(default_factory=ViewsConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise UserError("epochs must be at least 1")
        if self.batch_size < 1:
            raise UserError(f"batch_size is {self.batch_size}, but must be at least 1")
        if self.optim.warmup_epochs > self.epochs:
            raise UserError(
                f"the warm-up of {self.optim.warmup_epochs:g} epochs is longer than the run of {self.epochs}: "
                "lower --optim.warmup_epochs or raise --epochs"
            )
        check_seed(self.seed)


def config_parser() -> ArgumentParser:
    """Every field of ``RunConfig`` as an option, and ``--config FILE``, after which the command line wins."""
    parser = ArgumentParser(
        prog="python -m vicregl_fast.train",
        description="Pretrain a backbone with VICRegL.",
        exit_on_error=False,
    )
    parser.add_argument("--config", action="config", help="a YAML recipe, such as configs/resnet18_96px.yaml")
    parser.add_class_arguments(RunConfig, as_group=False)
    return parser


def parse_config(arguments: list[str] | None = None) -> RunConfig:
    """The configuration of a command line (``sys.argv`` without one).

    Raises:
        UserError: an option that is unknown or has an impossible value.
    """
    given = with_underscores(sys.argv[1:] if arguments is None else arguments)
    # The option prints what the parser has read by then; moved to the end, it prints the whole configuration.
    given.sort(key=lambda argument: argument.startswith("--print_config"))
    try:
        return _build(config_parser().parse_args(given))
    except ArgumentError as error:
        raise UserError(f"{_sentence(error)}; --help lists all options") from None
    except UnicodeDecodeError:
        raise UserError("what --config names is no text, but must be a YAML recipe") from None


def load_config(path: Path) -> RunConfig:
    """The configuration that a run folder holds as ``config.yaml``.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        return _build(config_parser().parse_path(str(path)))
    except (ArgumentError, TypeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a run's configuration: {_sentence(error)}") from None


def dump_config(config: RunConfig) -> str:
    """The whole configuration as YAML that ``--config`` reads."""
    parser = config_parser()
    return parser.dump(parser.parse_object(asdict(config)), skip_none=False)


def _build(parsed: Namespace) -> RunConfig:
    values = config_parser().instantiate(parsed)
    values.pop("config", None)
    return RunConfig(**vars(values))


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
