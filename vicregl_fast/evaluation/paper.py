"""The paper's figures (Tables 1 and 2), to stand beside those of the same task and architecture.

Bardes, Ponce, LeCun: VICRegL, Self-Supervised Learning of Local Visual Features. NeurIPS 2022.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from vicregl_fast.evaluation.report import Row
from vicregl_fast.models.config import architecture_name

Task = Literal["imagenet", "voc12aug", "voc12aug fine-tuned", "cityscapes", "ade20k"]
"""Linear classification of ImageNet (top-1 in percent), and linear segmentation (mIoU in percent)."""


class PaperColumn(NamedTuple):
    """Which of the paper's figures stand beside ours.

    Attributes:
        task: the column of its tables.
        same_protocol: whether ours are by the paper's protocol.
    """

    task: Task
    same_protocol: bool


MEASURES: dict[Task, str] = {
    "imagenet": "accuracy", "voc12aug": "mIoU", "voc12aug fine-tuned": "mIoU", "cityscapes": "mIoU", "ade20k": "mIoU",
}  # fmt: skip
_TASKS: dict[str, tuple[Task, ...]] = {
    "resnet50": ("imagenet", "voc12aug", "voc12aug fine-tuned", "cityscapes"),
    "convnext_small": ("imagenet", "voc12aug", "voc12aug fine-tuned", "ade20k"),
    "convnext_base": ("imagenet", "voc12aug", "voc12aug fine-tuned", "ade20k"),
    "convnext_xlarge": ("imagenet", "voc12aug", "voc12aug fine-tuned", "ade20k"),
}
_FIGURES: dict[str, list[tuple[str, tuple[float, ...]]]] = {
    "resnet50": [
        ("VICReg, 300 epochs", (71.5, 47.8, 65.5, 23.5)),
        ("VICRegL α 0.9, 300 epochs", (71.2, 54.0, 66.6, 25.1)),
        ("VICRegL α 0.75, 300 epochs", (70.4, 55.9, 67.6, 25.2)),
    ],
    "convnext_small": [
        ("VICReg, 400 epochs", (76.2, 60.1, 77.8, 28.6)),
        ("VICRegL α 0.9, 400 epochs", (75.9, 66.7, 80.0, 30.8)),
        ("VICRegL α 0.75, 400 epochs", (74.6, 67.5, 80.6, 31.2)),
    ],
    "convnext_base": [
        ("VICReg, 400 epochs", (77.6, 67.2, 81.1, 32.7)),
        ("VICRegL α 0.9, 400 epochs", (77.1, 69.3, 81.2, 33.5)),
        ("VICRegL α 0.75, 400 epochs", (76.3, 70.4, 82.5, 35.3)),
    ],
    "convnext_xlarge": [("VICRegL α 0.75, 150 epochs of ImageNet-22k", (79.4, 78.7, 84.1, 43.2))],
}


def published_rows(published: PaperColumn | None, architectures: Iterable[str]) -> list[Row]:
    """The paper's rows for timm's names of architectures; none where it has none.

    Unless ours are by the same protocol, they are called the paper's by its protocol.
    """
    if published is None:
        return []
    task, whose = published.task, "paper" if published.same_protocol else "paper by its protocol"
    return [
        Row(f"{whose}: {name}, {method}", {MEASURES[task]: [figures[_TASKS[name].index(task)]]})
        for name in dict.fromkeys(map(architecture_name, architectures))
        if task in _TASKS.get(name, ())
        for method, figures in _FIGURES[name]
    ]
