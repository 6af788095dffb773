"""Linear classification: the whole way from images to an accuracy, and fine-tuning."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dataprep.errors import UserError
from dataprep.ffcv_store import write_store
from dataprep.sources import list_images
from tests.evaluation.classification.test_knn import write_class_folders
from tests.evaluation.stand_in import MeanColour, mean_colour
from vicregl_fast.augment.normalisation import MEAN, STD
from vicregl_fast.evaluation.candidates import Candidate
from vicregl_fast.evaluation.chosen_images import ChosenImages, open_chosen
from vicregl_fast.evaluation.classification import feature_epochs
from vicregl_fast.evaluation.classification.config import LinearConfig, rates
from vicregl_fast.evaluation.classification.crop_feed import CropFeeds
from vicregl_fast.evaluation.classification.feature_epochs import FeatureEpochs
from vicregl_fast.evaluation.classification.fine_tuning import FineTuning
from vicregl_fast.evaluation.classification.linear import LinearJudge
from vicregl_fast.evaluation.classification.linear_heads import drawn_weight
from vicregl_fast.evaluation.comparison import compare
from vicregl_fast.evaluation.report import Row
from vicregl_fast.models.config import BackboneConfig
from vicregl_fast.weights.loading import drawn_backbone

CPU = torch.device("cpu")


def small(**changes: object) -> LinearConfig:
    return LinearConfig(**{"lr": (3.0,), "epochs": 30, "size": 8, "batch_size": 6, "workers": 0, **changes})  # type: ignore[arg-type]


def with_changes(images: ChosenImages, **changes: Any) -> ChosenImages:
    """The same images, but for attributes of their store."""
    return replace(images, opened=replace(images.opened, store=replace(images.store, **changes)))  # type: ignore[type-var]


def colours(root: Path, store: bool, **counts: int) -> ChosenImages:
    folder = write_class_folders(root, counts)
    if store:
        write_store(list_images(folder), root.with_suffix(".beton"), workers=1)
        return open_chosen(root.with_suffix(".beton"), None)
    return open_chosen(folder, None)


@pytest.mark.parametrize("store", [False, True])
def test_colour_classes_are_told_apart(tmp_path: Path, store: bool, capsys: pytest.CaptureFixture) -> None:
    train = colours(tmp_path / "train", store, red=12, green=10, blue=8)
    test = colours(tmp_path / "test", store, red=1, green=3)
    candidates = [Candidate("trained", mean_colour), Candidate("random", mean_colour, False)]
    assert compare(candidates, LinearJudge(train, test, small(lr=(1e-6, 3.0)))) == [
        Row("trained", {"accuracy": [100.0]}),
        Row("random", {"accuracy": [100.0]}),
        Row("majority class", {"accuracy": [25.0]}),
    ]
    told = capsys.readouterr().err
    assert "2 of the 3 classes" in told  # by name: green is 1 of three, and 0 of two
    assert "of 2 learning rates 3 is taken, the best on 3 training images held out (accuracy 100.0%)" in told


def test_test_images_of_unknown_classes_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    train = colours(tmp_path / "train", False, red=12, green=10)
    test = colours(tmp_path / "test", False, blue=4, red=1, green=3)
    assert compare([Candidate("trained", mean_colour)], LinearJudge(train, test, small(lr=(3.0,)))) == [
        Row("trained", {"accuracy": [100.0]}),
        Row("majority class", {"accuracy": [25.0]}),
    ]
    assert "4 images of 1 classes" in capsys.readouterr().err


def test_epochs_after_the_computed_ones_take_their_features_again(tmp_path: Path) -> None:
    train = colours(tmp_path / "train", False, red=3, blue=4)
    labels = torch.tensor([0] * 4 + [1] * 3)
    backbone, passes = MeanColour().eval(), []
    backbone.register_forward_hook(lambda *of: passes.append(len(of[1][0])))
    crops = CropFeeds(size=8, batch_size=3, workers=0, device=CPU).random(train.opened, 0)

    def features_of(epochs: FeatureEpochs, number: int) -> dict[tuple[float, ...], int]:
        batches = list(epochs.epoch(number))
        assert [len(labels) for _, labels in batches] == [3, 3]
        rows = torch.cat([features for features, _ in batches]).tolist()
        return dict(zip(map(tuple, rows), torch.cat([each for _, each in batches]).tolist(), strict=True))

    chosen = np.array([0, 1, 2, 3, 5, 6])
    config = small(epochs=5, computed_epochs=2, batch_size=3)
    epochs = FeatureEpochs(backbone, crops, chosen, labels, config, 0)
    first, second, third, fourth = (features_of(epochs, number) for number in range(4))
    assert passes == [3] * 4 and first == third and second == fourth and first != second
    assert sorted(first.values()) == [0, 0, 0, 0, 1, 1]
    assert all((features[2] > features[0]) == (label == 0) for features, label in first.items())  # blue comes first
    published = FeatureEpochs(backbone, crops, chosen, labels, small(epochs=3, computed_epochs=3, batch_size=3), 0)
    assert [features_of(published, number) == first for number in range(3)] == [True, False, False]
    assert passes == [3] * 10


def test_crops_are_not_distorted_and_a_centre_feed_makes_no_others(tmp_path: Path) -> None:
    store = colours(tmp_path / "images", True, red=3).opened
    feeds = CropFeeds(size=8, batch_size=3, workers=1, device=CPU)
    ((indices, crops),) = feeds.random(store, 0).batches(np.array([2, 0, 1]), 0)
    assert indices.tolist() == [2, 0, 1] and crops.shape == (3, 3, 8, 8)
    means = (crops.mean((0, 2, 3)) * torch.tensor(STD) + torch.tensor(MEAN)) * 255
    assert (means - torch.tensor([230.0, 5.0, 5.0])).abs().max() < 15  # neither jittered nor grey
    centre = feeds.centre(store)
    with centre.feed.loader([np.array([0])], 0) as loader:
        (batch,) = loader
    assert batch.views == () and batch.centre_crops.shape == (1, 3, 8, 8)


def test_the_test_images_have_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their labels are the wrong ones, so that the rate which learns nothing would be the best on them."""
    train = colours(tmp_path / "train", False, red=20, blue=20)
    test = colours(tmp_path / "test", False, red=4, blue=4)
    swapped = with_changes(test, labels=1 - test.store.labels)
    learned: list[int] = []
    computed = FeatureEpochs.epoch

    def noting(self: FeatureEpochs, number: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        learned.extend(self._chosen.tolist())
        return computed(self, number)

    monkeypatch.setattr(FeatureEpochs, "epoch", noting)
    judge = LinearJudge(train, swapped, small(lr=(1e-6, 3.0)))
    assert judge.judge(MeanColour().eval(), 0).figures == {"accuracy": 0.0}
    assert len(set(learned)) == 36
    first = set(learned)
    learned.clear()
    judge.judge(MeanColour().eval(), 1)
    assert len(set(learned)) == 36 and set(learned) != first  # another seed holds out others


def test_what_cannot_be_judged_is_one_sentence(tmp_path: Path) -> None:
    train, other = colours(tmp_path / "a", False, red=2, green=2), colours(tmp_path / "b", False, blue=2, yellow=1)
    with pytest.raises(UserError, match=r"b and .*a have no class in common: .* blue, yellow, those of .* green, red"):
        LinearJudge(train, other, small())
    with pytest.raises(UserError, match="too few images to hold some out"):
        LinearJudge(train, train, small(lr=(1.0, 2.0)))
    with pytest.raises(UserError, match="red has no labels"):
        LinearJudge(open_chosen(tmp_path / "a" / "red", None), train, small())


def test_rates_are_read_or_those_of_the_backbone() -> None:
    assert rates("0.1,3") == (0.1, 3.0)
    assert LinearConfig().rates("resnet50") == (0.02,) and LinearConfig().rates("convnext_small") == (0.3,)
    assert LinearConfig(lr=(1.0,)).rates("resnet50") == (1.0,)
    for text in ("", "0", "1,1", "-1", "nan", "a"):
        with pytest.raises(Exception, match="above 0"):
            rates(text)


def test_fine_tuning_is_torch_s_sgd_on_both_parts() -> None:
    """Beside the same modules trained by an optimiser each, whose rates are set by hand."""
    tuned, plain = (drawn_backbone(BackboneConfig("test_resnet"), 0) for _ in range(2))
    batches = [(torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 0])) for _ in range(2)]
    tuning = FineTuning(tuned, 3, 0.5, 0.05, epochs=2, seed=4)
    head = torch.nn.Linear(plain.channels, 3)
    head.load_state_dict({"weight": drawn_weight(plain.channels, 3, 4), "bias": torch.zeros(3)})
    parts = [(0.5, head), (0.05, plain)]
    optimisers = [torch.optim.SGD(part.parameters(), rate, momentum=0.9, weight_decay=1e-6) for rate, part in parts]
    for epoch in range(2):
        tuning.epoch(batches, epoch)
        plain.train()
        for images, labels in batches:
            torch.nn.functional.cross_entropy(head(plain(images).pooled), labels).backward()
            for optimiser, (rate, _) in zip(optimisers, parts, strict=True):
                optimiser.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * epoch / 2))
                optimiser.step()
                optimiser.zero_grad()
    assert not tuned.training
    start = drawn_backbone(BackboneConfig("test_resnet"), 0).state_dict()
    assert any((value - start[name]).abs().max() > 1e-3 for name, value in tuned.named_parameters())
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(tuned.state_dict()[name], value)
    with torch.no_grad():
        images, labels = batches[0]
        logits = head(plain.eval()(images).pooled)
        torch.testing.assert_close(tuning.logits(images), logits)
        assert tuning.correct(tuned(images).pooled, labels).tolist() == [(logits.argmax(1) == labels).sum().item()]


def test_fine_tuning_changes_the_backbone_and_frozen_does_not(tmp_path: Path) -> None:
    train = colours(tmp_path / "train", False, red=6, blue=6)
    judge, frozen = (LinearJudge(train, train, small(finetune=each)) for each in (True, False))
    backbone = MeanColour().eval()
    assert frozen.judge(backbone, 0).figures == {"accuracy": 100.0}
    assert backbone.norm.weight.tolist() == [1, 1, 1] and backbone.norm.num_batches_tracked == 0
    assert judge.judge(backbone, 0).figures == {"accuracy": 100.0}
    assert backbone.norm.weight.tolist() != [1, 1, 1] and backbone.norm.num_batches_tracked == 2 * 30
    assert not backbone.training


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lr": (1.0, 2.0)}, "trains one network: give one --lr"),
        ({"computed_epochs": 3}, "leave --computed_epochs out"),
        ({"backbone_lr": 0.0}, "must be above 0"),
    ],
)
def test_what_fine_tuning_cannot_do_is_one_sentence(changes: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        small(**{"finetune": True, **changes})


def test_deep_test_images_take_the_range_of_the_training_images(tmp_path: Path) -> None:
    """Of 12 bits and, by themselves, of 8: the same value must mean the same grey."""
    for side, level in (("train", 4000), ("test", 200)):
        for name in "ab":
            (tmp_path / side / name).mkdir(parents=True)
            pixels = np.full((16, 16), level // 2 if name == "a" else level, np.uint16)
            Image.fromarray(pixels).save(tmp_path / side / name / "1.png")
    train = open_chosen(tmp_path / "train", None)
    test = open_chosen(tmp_path / "test", None, like=train)
    alone = open_chosen(tmp_path / "test", None)
    assert np.asarray(train.store.open(1)).max() == 4000 >> 4
    assert np.asarray(test.store.open(1)).max() == 200 >> 4
    assert np.asarray(alone.store.open(1)).max() == 200


def test_labels_without_names_are_matched_by_number_and_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    train = colours(tmp_path / "train", False, red=3, blue=3)
    nameless = with_changes(train, classes=None)
    LinearJudge(train, nameless, small())
    assert "train has no names of classes: labels of training and test images are matched by number" in (
        capsys.readouterr().err
    )
    shifted = with_changes(train, classes=None, labels=train.store.labels + 1)
    with pytest.raises(UserError, match=r"has the label 2, where the largest of .* is 1: number both alike"):
        LinearJudge(train, shifted, small())


def test_the_rate_that_was_taken_is_in_the_judgement(tmp_path: Path) -> None:
    train = colours(tmp_path / "train", False, red=20, blue=20)
    judgement = LinearJudge(train, train, small(lr=(1e-6, 3.0), epochs=5)).judge(MeanColour().eval(), 0)
    assert judgement.settings == {"lr": 3.0, "computed_epochs": 2}


def test_training_that_diverges_is_no_result(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    train = colours(tmp_path / "train", False, red=20, blue=20)
    judgement = LinearJudge(train, train, small(lr=(1e38, 3.0), epochs=5)).judge(MeanColour().eval(), 0)
    assert judgement.settings["lr"] == 3.0 and judgement.figures == {"accuracy": 100.0}
    assert "diverged at the learning rate 1e+38" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"diverged at --lr 1e\+38"):
        LinearJudge(train, train, small(lr=(1e38,))).judge(MeanColour().eval(), 0)
    with pytest.raises(UserError, match=r"fine-tuning diverged in epoch \d+, .*: lower --lr or --backbone_lr"):
        LinearJudge(train, train, small(finetune=True, backbone_lr=1e38)).judge(MeanColour().eval(), 0)


@pytest.mark.parametrize("finetune", [False, True])
def test_a_bad_test_image_is_found_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finetune: bool
) -> None:
    train, test = colours(tmp_path / "a", False, red=2, blue=2), colours(tmp_path / "b", False, red=2, blue=2)
    broken = tmp_path / "b" / "red" / "1.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    for kind in (FeatureEpochs, FineTuning):
        monkeypatch.setattr(kind, "epoch", lambda *_: pytest.fail("the work began"))
    with pytest.raises(UserError, match=r"red/1\.jpg does not decode"):
        LinearJudge(train, test, small(finetune=finetune)).judge(MeanColour().eval(), 0)


def test_the_paper_s_figures_are_of_all_of_imagenet_alone(tmp_path: Path) -> None:
    train = colours(tmp_path / "train", False, red=2, blue=2)
    wnids = [f"n{number:08d}" for number in range(1000)]
    for classes, complete, shown in (
        (wnids, True, True), (wnids, False, False), (wnids[1:], True, False), ([*wnids[1:], "cat"], True, False),
    ):  # fmt: skip
        images = replace(with_changes(train, classes=tuple(classes)), complete=complete)
        assert (LinearJudge(images, images, small()).published is not None) == shown


def test_fine_tuning_takes_full_batches_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BatchNorm could not take a last one of a single image."""
    sizes: list[int] = []
    monkeypatch.setattr(FineTuning, "epoch", lambda self, batches, number: sizes.extend(len(x) for x, _ in batches))
    train = colours(tmp_path / "train", False, red=4, blue=3)
    LinearJudge(train, train, small(finetune=True, batch_size=6, epochs=2)).judge(MeanColour().eval(), 0)
    LinearJudge(train, train, small(finetune=True, batch_size=20, epochs=1)).judge(MeanColour().eval(), 0)
    assert sizes == [6, 6, 7]


def test_features_that_do_not_fit_into_memory_are_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_epochs, "free_memory", lambda device: 2 * 6 * 4 * 3 - 1)
    train = colours(tmp_path / "train", False, red=3, blue=3)
    with pytest.raises(UserError, match=r"features of 2 epochs take 0.0 GiB, and .*: lower --computed_epochs"):
        LinearJudge(train, train, small()).judge(MeanColour().eval(), 0)
    LinearJudge(train, train, small(epochs=1, computed_epochs=1)).judge(MeanColour().eval(), 0)  # keeps none
