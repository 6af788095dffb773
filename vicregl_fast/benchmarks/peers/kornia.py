"""kornia's augmentations on the device, of images that torchvision has decoded on threads."""

from collections.abc import Iterator, Sequence

import kornia.augmentation as augmentation
import torch
from torch import Tensor, nn

from vicregl_fast.augment.normalisation import MEAN, STD
from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.benchmarks.peers.threads import DecodingThreads
from vicregl_fast.benchmarks.peers.torchvision_io import decode
from vicregl_fast.benchmarks.peers.work import Call, PeerWork

BLUR_TAPS = 23
"""Side of the blur's kernel in pixels: at least five deviations to each side."""


def kornia_calls(work: PeerWork) -> dict[str, Call]:
    """``views_without_matches``: the views, but not which of their cells match."""
    threads = DecodingThreads(decode, work.workers)
    made = [view_transform(recipe) for recipe in work.recipes]
    return {"views_without_matches": lambda: sum(len(views[0]) for views in batches(threads, made, work))}


def batches(threads: DecodingThreads, made: Sequence[nn.Module], work: PeerWork) -> Iterator[list[Tensor]]:
    """The views of each batch, [b, 3, S, S] each, on the device."""
    for decoded in threads.batches(work.jpegs):
        images = [image.to(work.device, non_blocking=True).float().div_(255)[None] for image in decoded]
        yield [view(images) for view in made]


class _View(nn.Module):
    """Crops images one by one, since their sizes differ, and distorts the crops as a batch."""

    def __init__(self, crop: nn.Module, distort: nn.Module):
        super().__init__()
        self._crop, self._distort = crop, distort

    def forward(self, images: Sequence[Tensor]) -> Tensor:
        return self._distort(torch.cat([self._crop(image) for image in images]))


def view_transform(recipe: ViewRecipe) -> nn.Module:
    """Makes a view [n, 3, S, S] of n images [1, 3, H, W] with levels from 0 to 1."""
    crop = augmentation.RandomResizedCrop(
        (recipe.size, recipe.size), recipe.crop.scale, recipe.crop.ratio, resample="bicubic"
    )
    jitter = (recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue)
    threshold = recipe.solarise_threshold / 255
    distort = augmentation.AugmentationSequential(
        augmentation.RandomHorizontalFlip(p=recipe.flip_probability),
        augmentation.ColorJitter(*jitter, p=recipe.jitter_probability),
        augmentation.RandomGrayscale(p=recipe.grey_probability),
        augmentation.RandomGaussianBlur((BLUR_TAPS, BLUR_TAPS), recipe.blur_sigma, p=recipe.blur_probability),
        augmentation.RandomSolarize((threshold, threshold), (0.0, 0.0), p=recipe.solarise_probability),
        augmentation.Normalize(MEAN, STD),
    )
    return _View(crop, distort)
