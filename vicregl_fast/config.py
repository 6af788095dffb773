"""The configuration of a run, read from YAML recipes and the command line; unknown keys are refused."""

import json
import re
import sys
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from dataprep.command_line import with_home, with_underscores
from dataprep.errors import UserError
from vicregl_fast.augment.recipe import ViewsConfig, view_recipes
from vicregl_fast.choices import DeviceChoice, PrecisionChoice
from vicregl_fast.data.config import DataConfig
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.models.config import ModelConfig
from vicregl_fast.optim.config import OptimConfig
from vicregl_fast.seeds import check_seed

TRACKERS = ("wandb", "mlflow")
_NUMBER = re.compile(r"[-+]?[0-9._]+([eE][-+]?[0-9]+)?")
SMALLEST_VIEW = 16
"""Pixels of a side: the cell of a ViT's map."""


@dataclass(frozen=True)
class TrainingConfig:
    """How the training loop runs.

    Attributes:
        device: where to train; auto takes CUDA if there is a GPU, else the CPU.
        precision: number format of the network; auto takes bf16 if the hardware multiplies it fast, else fp16 on CUDA
            and fp32 on a CPU.
        channels_last: keep the network's weights in the memory format channels_last, as the views always are.
        compile: let torch.compile compile the backbone, at its first pass of each size of view.
        cuda_graphs: record the kernels of a step in a CUDA graph, and replay them in one launch in the later ones,
            which spares the host their launches; the graph's memory stays reserved between steps. With several
            processes those of the backbone only, for which it needs compile.
        checkpoint_activations: keep only the inputs of the backbone's blocks, and compute the rest again in the
            backward pass: less memory for about a third more work.
        chunk: the most images of a process that pass the network at once; the gradient is that of the whole batch, for
            about a third more work. BatchNorm's statistics are those of a chunk. null for all of them.
        sync_batchnorm: with several processes, let BatchNorm take its statistics over all of them.
        allreduce: number format in which processes add up gradients: fp32, or bf16, which halves what they send.
        deterministic: use only kernels whose results are repeatable, at some cost of speed.
        log_every: steps between rows in metrics.jsonl; the last step of an epoch is always logged. A GPU has
            nothing to do while a row is formed.
        checkpoint_every: steps between checkpoints; there is also one at the end of every epoch.
        keep_every: epochs between checkpoints that are kept for good; null keeps the two newest only.
        val_every: epochs between validation passes; the last epoch always has one.
        clip_norm: largest gradient norm, above which gradients are scaled down; null for no clipping.
        patience: number of non-finite steps in a row, each of which is skipped, after which the run goes back to the
            weights of the last checkpoint, and the next time to those of the one before; training goes on with the
            next images, or ends if no checkpoint is left.
        trackers: wandb, mlflow or wandb,mlflow: who is told of each row of metrics.jsonl besides; none for nobody.
        profile: number of steps, from the first logged one on, of which a profile is written to the run's folder.
    """

    device: DeviceChoice = "auto"
    precision: PrecisionChoice = "auto"
    channels_last: bool = True
    compile: bool = False
    cuda_graphs: bool = False
    checkpoint_activations: bool = False
    chunk: int | None = None
    sync_batchnorm: bool = True
    allreduce: Literal["fp32", "bf16"] = "fp32"
    deterministic: bool = False
    log_every: int = 50
    checkpoint_every: int = 1000
    keep_every: int | None = None
    val_every: int = 1
    clip_norm: float | None = None
    patience: int = 5
    trackers: str = "none"
    profile: int = 0

    def __post_init__(self) -> None:
        if min(self.log_every, self.checkpoint_every, self.val_every, self.patience) < 1:
            raise UserError("train.log_every, checkpoint_every, val_every and patience must be at least 1")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise UserError(f"train.clip_norm is {self.clip_norm}; give a norm above 0, or null for no clipping")
        if self.chunk is not None and self.chunk < 2:
            raise UserError(f"train.chunk is {self.chunk}; give at least 2 images, or null for all of them at once")
        if self.cuda_graphs and (self.chunk is not None or self.checkpoint_activations):
            raise UserError(
                "train.chunk and train.checkpoint_activations set torch's generators back within a step, which "
                "train.cuda_graphs cannot record: leave train.cuda_graphs at false, or the other two out"
            )
        if self.compile and self.checkpoint_activations:
            raise UserError(
                "train.compile chooses itself what is computed again: leave train.checkpoint_activations at false, or "
                "compile at false"
            )
        if self.keep_every is not None and self.keep_every < 1:
            raise UserError(f"train.keep_every is {self.keep_every}; give at least 1 epoch, or null to keep none")
        if self.profile < 0:
            raise UserError(f"train.profile is {self.profile}; give a number of steps, or 0 for no profile")
        if not set(self.tracker_names) <= set(TRACKERS) or len(set(self.tracker_names)) < len(self.tracker_names):
            raise UserError(
                f"train.trackers is {self.trackers!r}; give {', '.join(TRACKERS)}, several with commas between, or none"
            )

    @property
    def tracker_names(self) -> tuple[str, ...]:
        """The names in ``trackers``."""
        return () if self.trackers == "none" else tuple(self.trackers.split(","))


@dataclass(frozen=True)
class RunConfig:
    """One pretraining run; the defaults are the released ResNet-50 recipe (docs/method.md, Optimisation).

    Attributes:
        epochs: passes over the training images.
        batch_size: images in the global batch, of all processes together.
        run_dir: folder for the run's files; the same command resumes the run that lies there.
        seed: seed of every random choice.
        data: where images come from.
        views: which views of an image are made.
        model: the network.
        loss: the loss.
        optim: optimiser and schedule.
        train: how the training loop runs.
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
        smallest = min(recipe.size for recipe in view_recipes(self.views))
        if smallest < SMALLEST_VIEW:
            raise UserError(f"views of {smallest} pixels show too little of an image: give {SMALLEST_VIEW} or more")
        check_seed(self.seed)
        if self.train.compile and self.train.chunk is not None and self.model.backbone_config.effective_drop_path > 0:
            raise UserError(
                "train.chunk passes each image twice, and compiled code may not draw the same drop path again: leave "
                "train.compile at false, or set --model.drop_path 0"
            )


def config_parser() -> ArgumentParser:
    """Returns a parser with an option for every field of ``RunConfig``, and ``--config FILE`` for a recipe.

    Options that follow ``--config`` on the command line replace what the recipe says.
    """
    parser = ArgumentParser(
        prog="python -m vicregl_fast.train",
        description="Pretrain a backbone with VICRegL.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="config", help="a YAML recipe, such as configs/resnet18_96px.yaml")
    parser.add_class_arguments(RunConfig, as_group=False)
    return parser


def parse_config(arguments: list[str] | None = None) -> RunConfig:
    """Reads the configuration from command line arguments, without the program's name; None means ``sys.argv``.

    Raises:
        UserError: an option is unknown or has an impossible value, or a recipe cannot be read.
    """
    given = with_underscores(sys.argv[1:] if arguments is None else arguments)
    # --print_config prints what the parser has read so far, so it is moved behind all other options.
    given.sort(key=lambda argument: argument.startswith("--print_config"))
    try:
        return _build(config_parser().parse_args(given))
    except ArgumentError as error:
        if str(error).startswith("Unexpected config"):  # a file of comments, of one name, or of something else
            raise UserError("what --config names has no setting with a value, but must be a YAML recipe") from None
        raise UserError(f"{_sentence(error)}; --help lists all options") from None
    except (UnicodeDecodeError, RecursionError):
        raise UserError("what --config names is no text of settings, but must be a YAML recipe") from None


def load_config(path: Path) -> RunConfig:
    """Reads the configuration that a run has saved as YAML in the file ``path``.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        return _build(config_parser().parse_path(str(path)))
    except (ArgumentError, TypeError, UnicodeDecodeError, RecursionError, UserError) as error:
        raise UserError(f"{path} is not a run's configuration: {_sentence(error)}") from None


def dump_config(config: RunConfig) -> str:
    """Returns the whole configuration as YAML text that ``--config`` can read."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes text that reads as text."""

        def text(self, text: str) -> yaml.ScalarNode:
            """Quoted where jsonargparse, unlike YAML, would take it for a number, and where YAML would fold it."""
            quoted = _NUMBER.fullmatch(text) is not None or not text.isprintable()
            return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quoted else None)

    Dumper.add_representer(str, Dumper.text)
    parser = config_parser()
    settings = json.loads(parser.dump(parser.parse_object(asdict(config)), skip_none=False, format="json"))
    return yaml.dump(settings, Dumper=Dumper, default_flow_style=False, sort_keys=False, allow_unicode=True)


def flat(values: dict, prefix: str = "") -> dict[str, object]:
    """A nested dict of settings as one, with keys such as ``train.patience`` and lists for tuples."""
    together: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            together |= flat(value, f"{prefix}{key}.")
        else:
            together[prefix + key] = list(value) if isinstance(value, tuple) else value
    return together


def _build(parsed: Namespace) -> RunConfig:
    parser = config_parser()
    _check_values(parsed, RunConfig, parser.get_defaults(), "")
    values = parser.instantiate(parsed)
    values.pop("config", None)
    return RunConfig(**vars(values))


def _check_values(parsed: Namespace, kind: type[Any], defaults: Namespace, prefix: str) -> None:
    """Refuses what the parser lets through, and completes the rest.

    A recipe may give no value to any setting (``location:``), or to a whole section, whose settings then have their
    defaults. A path may begin with ``~``, which no shell has replaced in a recipe or behind an equals sign.

    Raises:
        UserError: a setting that needs a value has none, or one that no path and no file of settings can hold.
    """
    types = get_type_hints(kind)
    for name in (each.name for each in fields(kind)):
        if name not in parsed:  # of a section without a value, of which the command line gives a setting
            parsed[name] = defaults[name]
        value, key = parsed[name], prefix + name
        if is_dataclass(types[name]):
            if value is None:
                parsed[name] = value = defaults[name]
            if not isinstance(value, Namespace):
                raise UserError(
                    f"{key} is {value!r}, but must hold settings, such as {key}.{fields(types[name])[0].name}"
                )
            _check_values(value, types[name], defaults[name], f"{key}.")
        elif value is None and type(None) not in get_args(types[name]):
            raise UserError(f"{key} has no value: give it one, or leave it out for {defaults[name]}")
        elif isinstance(value, str):
            parsed[name] = _checked_text(key, value)


def _checked_text(key: str, text: str) -> str:
    if not text:
        raise UserError(f"{key} is empty: give it a value, or leave it out")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{key} is {text!r}, which is no UTF-8, so that no file of settings can hold it: rename it, or make a link"
        ) from None
    return with_home(text)


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
