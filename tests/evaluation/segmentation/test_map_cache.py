"""Maps of whole images, kept in memory or in a file."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from dataprep.errors import UserError
from tests.evaluation.segmentation.test_linear_segmentation import write_masked
from tests.evaluation.stand_in import MeanColour
from vicregl_fast.evaluation.segmentation import kept_maps
from vicregl_fast.evaluation.segmentation.config import SegmentationConfig
from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures
from vicregl_fast.evaluation.segmentation.labels import IGNORED
from vicregl_fast.evaluation.segmentation.linear_head import drawn_heads, train_heads
from vicregl_fast.evaluation.segmentation.map_cache import CachedMaps
from vicregl_fast.evaluation.segmentation.masked_images import MaskedImages
from vicregl_fast.evaluation.segmentation.protocol import protocol_of
from vicregl_fast.models.backbone import build_backbone
from vicregl_fast.models.config import BackboneConfig
from vicregl_fast.philox import permutation


def cached_maps(data: MaskedImages, stride: int = 8, **changes) -> CachedMaps:
    features = SegmentationFeatures(MeanColour(stride).eval(), "last")
    return CachedMaps(
        **{"chosen": range(len(data)), "base_size": None, "workers": 0} | changes, features=features, data=data
    )


def test_cached_masks_are_every_fourth_pixel_and_maps_the_whole_image(tmp_path: Path) -> None:
    data = write_masked(tmp_path, 2, seed=0)
    cached = cached_maps(data)
    assert torch.equal(cached.masks[1].long(), data[1].mask[2::4, 2::4])
    # A block is one cell, and its strongest channel its class.
    assert torch.equal(cached.maps[1].argmax(0), data[1].mask[4::8, 4::8])
    (chosen,) = cached_maps(data, chosen=[1]).masks
    assert torch.equal(chosen, cached.masks[1])


def test_images_are_resized_within_the_base_size(tmp_path: Path) -> None:
    """Of 48×48 pixels, within 200×96: maps of 12×12 cells in place of 6×6, masks of 24×24 in place of 12×12."""
    data = write_masked(tmp_path, 1, seed=0)
    cached = cached_maps(data, base_size=(200, 96))
    assert cached.maps.shapes == [(3, 12, 12)]
    assert torch.equal(cached.masks[0].long(), data[0].mask[1::2, 1::2])
    assert torch.equal(cached.maps[0].argmax(0)[1::2, 1::2], data[0].mask[6::8, 6::8])


def test_masks_cover_what_a_vit_s_padded_images_do(tmp_path: Path) -> None:
    """Images of 40×40 become 48×48, of which a quarter in each dimension is kept."""
    data = write_masked(tmp_path, 1, seed=0, side=40)
    features = SegmentationFeatures(build_backbone(BackboneConfig("test_vit")).eval(), "last")
    cached = CachedMaps(features, data, [0], None, workers=0)
    assert cached.maps.shapes == [(64, 3, 3)] and cached.masks[0].shape == (12, 12)
    assert torch.equal(cached.masks[0][:10, :10].long(), data[0].mask[2::4, 2::4])
    assert (cached.masks[0][10:] == IGNORED).all() and (cached.masks[0][:, 10:] == IGNORED).all()


def test_cached_batches_go_on_into_further_epochs(tmp_path: Path) -> None:
    batches = list(cached_maps(write_masked(tmp_path, 5, seed=0)).batches(batch_size=2, iterations=7, seed=0))
    assert [len(maps) for ((maps, _),) in batches] == [2, 2, 1, 2, 2, 1, 2]
    ((maps, masks),), ((_, later),) = batches[0], batches[3]
    assert maps.dtype == torch.float32 and masks.dtype == torch.int64
    assert not torch.equal(masks, later)


def test_a_single_cell_joins_the_batch_before(tmp_path: Path) -> None:
    """Of images of one cell, three in two batches would leave one, of which BatchNorm takes no statistics."""
    cached = cached_maps(write_masked(tmp_path, 5, seed=0), stride=48)
    batches = list(cached.batches(batch_size=2, iterations=3, seed=0))
    assert [sum(len(maps) for maps, _ in batch) for batch in batches] == [2, 3, 2]
    (head,) = drawn_heads(3, 3, 1, seed=0)
    train_heads([head], batches, protocol_of(SegmentationConfig(iterations=3), "resnet18"), seed=0)
    with pytest.raises(UserError, match=r"a step of training would have a single cell, .*: raise --batch_size"):
        next(cached.batches(batch_size=1, iterations=3, seed=0))


def test_batches_are_full_whatever_the_sizes(tmp_path: Path) -> None:
    """Of eleven images nine are of one size, two of a size of their own; every image is seen once in an epoch."""
    data = write_masked(tmp_path, 11, seed=0)
    for number, side in ((4, 40), (7, 56)):
        for kind in ("images", "masks"):
            file = tmp_path / kind / "nested" / f"{number}.png"
            Image.open(file).resize((side, 48), Image.Resampling.NEAREST).save(file)
    batches = list(cached_maps(data).batches(batch_size=4, iterations=6, seed=3))
    assert [sum(len(maps) for maps, _ in batch) for batch in batches] == [4, 4, 3, 4, 4, 3]
    assert max(len(batch) for batch in batches) > 1
    for epoch in (0, 1):
        order = permutation(3, epoch, 11).tolist()
        for batch, indices in zip(batches[3 * epoch : 3 * epoch + 3], (order[:4], order[4:8], order[8:]), strict=True):
            found = {tuple(mask.flatten().tolist()) for _, masks in batch for mask in masks}
            assert found == {tuple(data[index].mask[2::4, 2::4].flatten().tolist()) for index in indices}
            assert len({maps.shape[2:] for maps, _ in batch}) == len(batch)


def test_the_file_is_learned_from_as_memory_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_masked(tmp_path / "data", 5, seed=0)
    in_memory = list(cached_maps(data).batches(2, 4, seed=0))
    monkeypatch.setattr(kept_maps, "available_memory", lambda: 1)
    cached = cached_maps(data, folder=tmp_path)
    assert cached.maps.in_file
    for ((maps, masks),), ((right_maps, right_masks),) in zip(cached.batches(2, 4, seed=0), in_memory, strict=True):
        assert torch.equal(maps, right_maps) and torch.equal(masks, right_masks)
