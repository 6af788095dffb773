"""Where a run's images come from: the settings ``--data.*``."""

from dataclasses import dataclass
from typing import Literal, get_args

from dataprep.errors import OnError, UserError

EngineName = Literal["ffcv", "dali", "torchvision"]
EngineChoice = Literal["auto", "ffcv", "dali", "torchvision"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


@dataclass(frozen=True)
class DataConfig:
    """Where images come from.

    Attributes:
        path: a .beton store, a folder of WebDataset shards, or a folder of images, which is then converted once into a
            cache beside the run (but for the torchvision engine).
        engine: what reads and decodes: ffcv (.beton), dali (.beton or shards, on the GPU where there is one) or
            torchvision (a folder of images as it is, the slow ordinary way); auto takes dali for shards, else ffcv.
        list: with a folder: a file with one relative path a line, the images to use.
        val_path: the same for the validation pass; null for none.
        val_list: as list, for val_path.
        workers: decoding threads (torchvision: processes); null means one for each core that this process may use.
        order: random over all images, or blocks for a store larger than memory: reads some places of it at a time.
        window: with blocks: images that are shuffled together; they should fit into memory.
        on_error: at an image that does not decode, fail or skip it.
    """

    path: str = "data/imagenet/train.beton"
    engine: EngineChoice = "auto"
    list: str | None = None
    val_path: str | None = None
    val_list: str | None = None
    workers: int | None = None
    order: Literal["random", "blocks"] = "random"
    window: int = 16384
    on_error: OnError = "fail"

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UserError(f"data.workers is {self.workers}; give at least 1, or null for one a core")
        if self.window < 1:
            raise UserError(f"data.window is {self.window}; give at least 1 image")
