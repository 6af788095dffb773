"""Where a run's images come from: the settings ``--data.*``."""

from dataclasses import dataclass
from typing import Literal, get_args

from dataprep.errors import OnError, UserError
from dataprep.value_range import parse_range

EngineName = Literal["ffcv", "dali", "torchvision"]
EngineChoice = Literal["auto", EngineName]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


@dataclass(frozen=True)
class DataConfig:
    """Where images come from.

    Attributes:
        path: a .beton store, a folder of WebDataset shards, or a folder of images. A folder of images is converted
            once into a store in the run's folder; the torchvision engine reads it as it is.
        engine: what reads and decodes: ffcv (.beton), dali (.beton or shards, on the GPU where there is one) or
            torchvision (a folder of images, read in the ordinary, slow way); auto takes dali for shards, else ffcv.
        list: a file that names the images of a folder to use, one a line, by path or name; null uses all of them.
        labels: where the labels of a folder come from: auto takes class folders if every image lies in one, folders the
            first folder of each path, none none, and anything else is a file with a path and a label a line.
        val_path: images for the validation pass, given as path is; null for no validation.
        val_list: the list that goes with val_path.
        val_labels: where the labels of val_path come from.
        range: the values that become black and white in images of more than 8 bits of a folder: auto looks for the
            number of bits in path, and takes it for val_path too; full is all 16; LOW,HIGH goes for floats and signed
            numbers, too (--data.range=-1,1).
        workers: decoding threads of each training process (torchvision: worker processes); null shares out the
            machine's cores among the training processes; with 0 the thread that loads beside the training decodes.
        order: random shuffles all images together; blocks shuffles a window of them at a time and reads each window
            from few places of the store, for stores larger than memory.
        window: with blocks, how many images are shuffled together; they should fit into memory.
        on_error: what to do at an image that does not decode: fail, or skip it.
    """

    path: str = "data/imagenet/train.beton"
    engine: EngineChoice = "auto"
    list: str | None = None
    labels: str = "auto"
    val_path: str | None = None
    val_list: str | None = None
    val_labels: str = "auto"
    range: str = "auto"
    workers: int | None = None
    order: Literal["random", "blocks"] = "random"
    window: int = 16384
    on_error: OnError = "fail"

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 0:
            raise UserError(f"data.workers is {self.workers}; give 0 or more, or null for one a core")
        parse_range(self.range, "data.range")
        if self.window < 1:
            raise UserError(f"data.window is {self.window}; give at least 1 image")
