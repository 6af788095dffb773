"""From a data set to its figures: by every protocol, with several rates, fine-tuned, and by transformers."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from dataprep.errors import UserError
from tests.evaluation.segmentation.datasets.miniature import write_ade20k, write_cityscapes, write_voc
from tests.evaluation.segmentation.test_linear_segmentation import write_masked
from tests.evaluation.stand_in import MeanColour
from vicregl_fast.evaluation.candidates import Candidate
from vicregl_fast.evaluation.comparison import compare
from vicregl_fast.evaluation.segmentation import linear_segmentation
from vicregl_fast.evaluation.segmentation.config import DatasetName, SegmentationConfig
from vicregl_fast.evaluation.segmentation.datasets.choice import open_dataset
from vicregl_fast.evaluation.segmentation.linear_segmentation import SegmentationJudge, fit_heads
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages
from vicregl_fast.evaluation.segmentation.pixel_judge import score_heads
from vicregl_fast.models.backbone import Backbone, build_backbone
from vicregl_fast.models.config import BackboneConfig

SMALL = {"iterations": 40, "batch_size": 4, "base_size": (), "workers": 0, "lr": (1.0,)}
CROP = (32, 40)

CLASS_NAMES = {
    "voc12aug": ("bird", "car", "dog"),
    "cityscapes": ("wall", "traffic sign", "rider"),
    "ade20k": ("floor", "bed", "person"),
}


class Coloured(Backbone):
    """Its map is the colour of every pixel, which a weight multiplies."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.colours, self.channels, self.name, self.model = MeanColour(stride=1), 3, "coloured", nn.Identity()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor):
        maps = self.colours(images)
        return maps._replace(map=maps.map * self.weight)


def judge(name: DatasetName, root: Path, finetune: bool = False, **changes: object) -> SegmentationJudge:
    {"voc12aug": write_voc, "cityscapes": write_cityscapes, "ade20k": write_ade20k}[name](root)
    data = open_dataset(name, root)
    train, val = (MaskedImages(side, data.labels) for side in (data.train, data.val))
    crop = {} if changes.get("protocol") == "cached" else {"crop": CROP}
    return SegmentationJudge(train, val, SegmentationConfig(**{**SMALL, **crop, **changes}), name, finetune)  # type: ignore[arg-type]


@pytest.mark.parametrize("test", ["whole", "slide"])
@pytest.mark.parametrize("protocol", ["cached", "augmented", "published"])
@pytest.mark.parametrize("name", ["voc12aug", "cityscapes", "ade20k"])
def test_planted_colours_are_found(tmp_path: Path, name: DatasetName, protocol: str, test: str) -> None:
    window = {"window": (24, 40), "stride": 16} if test == "slide" else {}
    made = judge(name, tmp_path, protocol=protocol, test=test, **window)
    candidate = Candidate("trained", lambda _: Coloured().eval(), architecture="resnet50")
    trained, majority, *published = compare([candidate], made)
    classes = [f"IoU/{each}" for each in CLASS_NAMES[name]]
    assert trained.figures == {figure: [100.0] for figure in ("mIoU", "pixel accuracy", *classes)}
    assert majority.figures["mIoU"][0] < 25 and list(majority.figures) == list(trained.figures)
    assert len(published) == (0 if name == "ade20k" else 3)  # the paper has none of a ResNet's on ADE20K


def test_the_protocol_is_the_papers_only_with_all_of_its_settings(tmp_path: Path) -> None:
    write_voc(tmp_path)
    data = open_dataset("voc12aug", tmp_path)
    sides = [MaskedImages(side, data.labels) for side in (data.train, data.val)]

    def same(output_stride: int | None = None, **changes: object) -> bool:
        config = SegmentationConfig("published", workers=1, **changes)  # type: ignore[arg-type]
        published = SegmentationJudge(*sides, config, "voc12aug", output_stride=output_stride).published
        assert published is not None
        return published.same_protocol

    assert same() and not same(16) and not same(8) and not same(iterations=39_999)


def test_images_are_resized_within_the_base_size_for_training_and_test(tmp_path: Path) -> None:
    seen = []
    backbone = Coloured().eval()
    backbone.register_forward_pre_hook(lambda _, images: seen.append(tuple(images[0].shape)))
    made = judge("voc12aug", tmp_path, base_size=(300, 96), crop=(60, 50), iterations=3)
    figures = made.judge(backbone, 0).figures
    assert seen[-5:] == [(4, 3, 60, 50)] * 3 + [(1, 3, 96, 128)] * 2  # images are of 48×64 pixels
    assert figures["pixel accuracy"] > 30
    assert next(made.training_images(0)).shape[2:] == (96, 128)


def test_validation_images_are_seen_through_the_window(tmp_path: Path) -> None:
    seen = []
    backbone = Coloured().eval()
    backbone.register_forward_pre_hook(lambda _, images: seen.append(tuple(images[0].shape)))
    made = judge("voc12aug", tmp_path, protocol="augmented", iterations=1, test="slide", window=(40, 48), stride=30)
    made.judge(backbone, 0)
    assert seen[-3:] == [(4, 3, 32, 40)] + [(4, 3, 40, 48)] * 2  # of 48×64 pixels each, two by two windows


def test_images_held_out_are_not_learned_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = write_masked(tmp_path, 20, seed=0)
    config = SegmentationConfig(iterations=1, batch_size=4, lr=(0.1, 1.0), workers=0)
    learned, tried = [], []

    def fit(features, data, chosen, *more):
        learned.append(list(chosen))
        return fit_heads(features, data, chosen, *more)

    def score(features, heads, data, chosen, *more):
        tried.append(list(chosen))
        return score_heads(features, heads, data, chosen, *more)

    monkeypatch.setattr(linear_segmentation, "fit_heads", fit)
    monkeypatch.setattr(linear_segmentation, "score_heads", score)
    SegmentationJudge(train, train, config).judge(Coloured().eval(), 0)
    held_out = tried[0]
    assert len(held_out) == 2 and sorted(held_out + learned[0]) == list(range(20)) == tried[1]


def test_of_several_rates_the_best_on_images_held_out_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """The validation images have no say: theirs are wrong, and the choice is the same."""
    train = write_masked(tmp_path / "train", 20, seed=0)
    config = SegmentationConfig(iterations=40, batch_size=4, lr=(1e-9, 1.0), workers=0)
    for val in (write_masked(tmp_path / "val", 2, seed=1), write_masked(tmp_path / "wrong", 2, seed=2)):
        if "wrong" in val.named:
            for image in (tmp_path / "wrong" / "images").rglob("*.png"):
                image.write_bytes((tmp_path / "val" / "images" / "nested" / image.name).read_bytes())
        SegmentationJudge(train, val, config).judge(Coloured().eval(), 0)
        assert (
            "of 2 learning rates 1 is taken, the best on 2 training images held out (mIoU 100.0%)"
            in capsys.readouterr().err
        )
    with pytest.raises(UserError, match=r"masks has too few images to hold some out \(\d+\): give one --lr"):
        SegmentationJudge(val, val, config)


def test_an_image_that_is_too_small_is_named_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_segmentation, "fit_heads", lambda *_: pytest.fail("the work began"))
    train, val = write_masked(tmp_path / "train", 3, seed=0), write_masked(tmp_path / "val", 3, seed=1)
    for kind in ("images", "masks"):
        file = tmp_path / "val" / kind / "nested" / "1.png"
        Image.open(file).crop((0, 0, 48, 3)).save(file)
    backbone = build_backbone(BackboneConfig("convnext_atto")).eval()
    with pytest.raises(UserError, match=r"nested/1\.png cannot be used: .* of 3x48 pixels"):
        SegmentationJudge(train, val, SegmentationConfig(workers=0)).judge(backbone, 0)


def test_training_that_diverges_is_no_result(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """The class with number 0 is the commonest, and the answer of logits that are NaN."""
    train = write_masked(tmp_path / "data", 20, seed=0)
    both = SegmentationConfig(iterations=40, batch_size=4, lr=(1e30, 1e-3), workers=0)
    assert SegmentationJudge(train, train, both).judge(Coloured().eval(), 0).settings["lr"] == 1e-3
    assert "diverged at the learning rate 1e+30" in capsys.readouterr().err
    for finetune in (False, True):
        made = judge("voc12aug", tmp_path / str(finetune), finetune, lr=(1e30,))
        with pytest.raises(UserError, match=r"diverged at --lr 1e\+30, .*: lower --lr"):
            made.judge(Coloured().eval(), 0)


@pytest.mark.parametrize("finetune", [False, True])
@pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])
def test_fine_tuning_changes_the_backbone_and_nothing_else_does(tmp_path: Path, name: str, finetune: bool) -> None:
    made = judge("voc12aug", tmp_path, finetune, iterations=2, test="whole", lr=(0.01,))
    torch.manual_seed(0)
    backbone = build_backbone(BackboneConfig(name, drop_path=0.0)).eval()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    made.judge(backbone, 0)
    changed = {key for key, value in backbone.state_dict().items() if not torch.equal(value, before[key])}
    assert not backbone.training
    if not finetune:
        assert not changed
    else:
        learned = {key for key, _ in backbone.named_parameters() if not key.startswith("model.norm_pre")}
        statistics = {key for key in before if "running" in key or "num_batches" in key}
        assert changed == learned | statistics  # all but the last norm, which raw stages leave out
    assert made.published.task == ("voc12aug fine-tuned" if finetune else "voc12aug")


def test_fine_tuning_is_the_same_again(tmp_path: Path) -> None:
    """Drop path, too, is drawn from the seed."""
    made = judge("voc12aug", tmp_path, True, iterations=2, test="whole", lr=(0.01,))
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(5)
        backbone = build_backbone(BackboneConfig("convnext_atto", drop_path=0.5)).eval()
        torch.manual_seed(len(states))
        made.judge(backbone, seed)
        states.append(torch.cat([value.flatten() for value in backbone.state_dict().values()]))
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


def test_a_backbone_learns_by_fine_tuning(tmp_path: Path) -> None:
    """Its only weight is so small that a head alone learns nothing."""

    def blind(_: int) -> Coloured:
        backbone = Coloured().eval()
        with torch.no_grad():
            backbone.weight.fill_(1e-4)
        return backbone

    figures = {}
    for finetune in (False, True):
        made = judge("voc12aug", tmp_path / str(finetune), finetune, iterations=60)
        backbone = blind(0)
        figures[finetune] = made.judge(backbone, 0).figures["mIoU"]
        assert (backbone.weight.item() != pytest.approx(1e-4)) == finetune
    assert figures[True] > 90 and figures[False] < 50


def test_fine_tuning_kept_maps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--finetune changes the backbone, whose maps the protocol cached keeps"):
        judge("voc12aug", tmp_path, True, protocol="cached")


@pytest.mark.parametrize("protocol", ["cached", "augmented"])
def test_a_vit_takes_images_that_its_patches_do_not_tile(tmp_path: Path, protocol: str) -> None:
    """Of 40×40 pixels, with patches of 16; crops of 24×20."""
    train, val = (write_masked(tmp_path / str(seed), 4, seed, side=40) for seed in (0, 1))
    torch.manual_seed(0)
    crop = (24, 20) if protocol == "augmented" else None
    config = SegmentationConfig(protocol, iterations=2, batch_size=2, crop=crop, workers=0)
    figures = SegmentationJudge(train, val, config).judge(build_backbone(BackboneConfig("test_vit")).eval(), 0).figures
    assert 0 <= figures["mIoU"] <= 100
