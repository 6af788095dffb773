"""A recipe that trains in no time."""

from pathlib import Path

from vicregl_fast.config import RunConfig, parse_config

TINY = (
    "--model.backbone=test_resnet --model.expander=16 --model.projector=8 --views.large_size=64 --batch_size=6 "
    "--data.workers=1 --train.precision=fp32 --optim.name=adamw"
)


def recipe(store: Path, more: str = "") -> RunConfig:
    return parse_config([*TINY.split(), f"--data.path={store}", *more.split()])
