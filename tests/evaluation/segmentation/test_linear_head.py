"""Heads beside torch's own layers and optimisers, and several rates beside single ones."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, interpolate

from vicregl_fast.evaluation.segmentation.config import SegmentationConfig
from vicregl_fast.evaluation.segmentation.labels import IGNORED
from vicregl_fast.evaluation.segmentation.linear_head import (
    drawn_heads,
    kept_channels,
    segmentation_loss,
    train_heads,
)
from vicregl_fast.evaluation.segmentation.map_batches import Batch, Group
from vicregl_fast.evaluation.segmentation.protocol import Protocol, learning_rate, protocol_of

CHANNELS, CLASSES = 5, 3


def drawn_group(images: int, height: int, width: int, draw: torch.Generator) -> Group:
    maps = 3 * torch.randn(images, CHANNELS, height, width, generator=draw)
    return maps, torch.randint(-1, CLASSES, (images, 4 * height, 4 * width), generator=draw)


def drawn_batches(count: int = 6) -> list[Batch]:
    draw = torch.Generator().manual_seed(1)
    return [[drawn_group(4, 3, 4, draw)] for _ in range(count)]


def protocol(backbone: str, rates: tuple[float, ...] = (), **changes: object) -> Protocol:
    made = protocol_of(SegmentationConfig("published", iterations=6, lr=rates), backbone)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("backbone", ["resnet50", "convnext_small"])
def test_a_head_learns_as_torch_s_optimiser_does(backbone: str) -> None:
    """Without dropout, beside torch's layers: BatchNorm, 1×1 convolution, mean over all pixels, the ignored as 0."""
    used = protocol(backbone, dropout=0.0)
    (head,) = drawn_heads(CHANNELS, CLASSES, 1, seed=0)
    layers = nn.Sequential(nn.BatchNorm2d(CHANNELS), nn.Conv2d(CHANNELS, CLASSES, 1))
    layers.load_state_dict(dict(zip(layers.state_dict(), head.state_dict().values(), strict=True)))
    optimiser = (
        torch.optim.SGD(layers.parameters(), momentum=0.9, weight_decay=5e-4)
        if backbone == "resnet50"
        else torch.optim.AdamW(layers.parameters(), weight_decay=0.05)
    )
    for iteration, ((maps, masks),) in enumerate(drawn_batches()):
        optimiser.param_groups[0]["lr"] = learning_rate(used.optimiser, used.rates[0], iteration, 6)
        logits = interpolate(layers(maps), masks.shape[1:], mode="bilinear", align_corners=False)
        loss = cross_entropy(logits, masks, ignore_index=IGNORED, reduction="none").mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    train_heads([head], drawn_batches(), used, seed=0)
    assert not head.training
    for found, expected in zip(head.state_dict().values(), layers.state_dict().values(), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("mean_of_all", [False, True])
def test_images_of_one_size_are_learned_from_alike_in_any_groups(mean_of_all: bool) -> None:
    """Four images in one group, or in two."""
    used = protocol("resnet50", (0.5,), dropout=0.0, mean_of_all=mean_of_all)
    together, apart = drawn_heads(CHANNELS, CLASSES, 2, seed=0)
    split = [[(maps[:1], masks[:1]), (maps[1:], masks[1:])] for ((maps, masks),) in drawn_batches()]
    train_heads([together], drawn_batches(), used, seed=0)
    train_heads([apart], split, used, seed=0)
    for found, expected in zip(apart.state_dict().values(), together.state_dict().values(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_step_of_several_sizes_is_the_formula() -> None:
    """BatchNorm by all cells of the step, the loss by all its labelled pixels, image by image."""
    draw = torch.Generator().manual_seed(2)
    batch = [drawn_group(*shape, draw) for shape in ((1, 2, 5), (3, 3, 4), (2, 1, 1))]
    (head,) = drawn_heads(CHANNELS, CLASSES, 1, seed=0)
    kept = [kept_channels(maps, 0.4, draw) for maps, _ in batch]
    logits = head.of_groups([maps for maps, _ in batch], kept)
    cells = torch.cat([maps.permute(1, 0, 2, 3).flatten(1) for maps, _ in batch], 1)  # [C, n]
    mean, variance = cells.mean(1).view(-1, 1, 1), cells.var(1, correction=0).view(-1, 1, 1)
    weight, bias = head.convolution.weight[:, :, 0, 0], head.convolution.bias
    losses, labelled = torch.zeros(()), 0
    for (maps, masks), factors, found in zip(batch, kept, logits, strict=True):
        assert factors is not None
        for number, (one, mask) in enumerate(zip(maps, masks, strict=True)):
            normed = (one - mean) / (variance + 1e-5).sqrt() * factors[number]
            expected = torch.einsum("kc,chw->khw", weight, normed) + bias.view(-1, 1, 1)
            torch.testing.assert_close(found[number], expected)
            large = interpolate(expected[None], mask.shape, mode="bilinear", align_corners=False)
            losses = losses + cross_entropy(large, mask[None], ignore_index=IGNORED, reduction="sum")
            labelled += int((mask != IGNORED).sum())
    loss = segmentation_loss(logits, [masks for _, masks in batch], mean_of_all=False)
    torch.testing.assert_close(loss, losses / labelled)
    torch.testing.assert_close(head.norm.running_mean, 0.1 * cells.mean(1))


def test_several_rates_are_single_runs() -> None:
    """Dropout included."""
    together = drawn_heads(CHANNELS, CLASSES, 3, seed=0)
    train_heads(together, drawn_batches(), protocol("resnet50", (0.5, 0.05, 2.0)), seed=4)
    for head, rate in zip(together, (0.5, 0.05, 2.0), strict=True):
        (alone,) = drawn_heads(CHANNELS, CLASSES, 1, seed=0)
        train_heads([alone], drawn_batches(), protocol("resnet50", (rate,)), seed=4)
        for found, expected in zip(head.state_dict().values(), alone.state_dict().values(), strict=True):
            assert torch.equal(found, expected)
    assert not torch.equal(together[0].convolution.weight, together[1].convolution.weight)


def test_heads_start_alike_and_small() -> None:
    first, second = drawn_heads(400, 30, 2, seed=0)
    assert torch.equal(first.convolution.weight, second.convolution.weight)
    assert 0.0098 < first.convolution.weight.std() < 0.0102 and (first.convolution.bias == 0).all()
    assert not torch.equal(first.convolution.weight, drawn_heads(400, 30, 1, seed=1)[0].convolution.weight)


def test_dropout_drops_whole_channels() -> None:
    kept = kept_channels(torch.zeros(50, 400, 7, 7), 0.1, torch.Generator().manual_seed(0))
    assert kept is not None and kept.shape == (50, 400, 1, 1)
    assert sorted(kept.unique().tolist()) == pytest.approx([0.0, 1 / 0.9])
    assert (kept == 0).float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert kept_channels(torch.zeros(2, 2, 1, 1), 0.0, torch.Generator()) is None


def test_kept_channels_are_multiplied_after_the_norm() -> None:
    (head,) = drawn_heads(CHANNELS, CLASSES, 1, seed=0)
    ((maps, _),) = drawn_batches()[0]
    kept = torch.tensor([0.0, 2.0, 1.0, 0.0, 3.0]).expand(4, -1)[:, :, None, None]
    (found,) = head.eval().of_groups([maps], [kept])
    torch.testing.assert_close(found, head.convolution(head.norm(maps) * kept))
    assert not torch.allclose(found, head(maps))


def test_the_loss_is_a_mean_of_the_labelled_or_of_all() -> None:
    logits = torch.randn(1, CLASSES, 2, 2, generator=torch.Generator().manual_seed(0))
    masks = torch.tensor([[[0, 2], [IGNORED, IGNORED]]])
    plain = cross_entropy(logits[0, :, 0].T, masks[0, 0])
    torch.testing.assert_close(segmentation_loss([logits], [masks], mean_of_all=False), plain)
    torch.testing.assert_close(segmentation_loss([logits], [masks], mean_of_all=True), plain / 2)
    assert segmentation_loss([logits], [torch.full((1, 2, 2), IGNORED)], mean_of_all=False) == 0
