"""lightly's VICRegL views, by PIL in the worker processes of a DataLoader, with its own way to collate them."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import mean
from typing import Any

import torch
from lightly.data.multi_view_collate import MultiViewCollate
from lightly.transforms import VICRegLTransform
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.benchmarks.peers.work import Call, PeerWork
from vicregl_fast.geometry.directions import LARGE_VIEWS


class ImageViews(Dataset):
    """What ``MultiViewCollate`` takes of each image: its views, a label, and a name.

    Args:
        images: how many there are.
        open_image: decodes the image of a number.
        transform: an image to a list of its views.
    """

    def __init__(
        self, images: int, open_image: Callable[[int], Image.Image], transform: Callable[[Image.Image], list[Tensor]]
    ):
        self._images, self._open, self._transform = images, open_image, transform

    def __len__(self) -> int:
        return self._images

    def __getitem__(self, index: int) -> tuple[list[Tensor], int, str]:
        return self._transform(self._open(index)), 0, str(index)


def lightly_calls(work: PeerWork) -> dict[str, Call]:
    """``views_with_grids_without_matches``: the views, and where the cells of each lie.

    lightly matches cells in its loss.
    """
    loader = jpeg_loader(work)
    return {"views_with_grids_without_matches": lambda: sum(len(made[0]) for made in batches(loader, work.device))}


def jpeg_loader(work: PeerWork) -> DataLoader:
    """Loads the batches in their order."""
    jpegs, places = work.images, iter(range(len(work.images)))

    def decode(index: int) -> Image.Image:
        return Image.open(io.BytesIO(jpegs[index])).convert("RGB")

    dataset = ImageViews(len(jpegs), decode, vicregl_transform(work.recipes, work.grids))
    order = [[next(places) for _ in batch] for batch in work.jpegs]
    return view_loader(dataset, work.workers, work.device, batch_sampler=order)


def view_loader(dataset: ImageViews, workers: int, device: torch.device, **order: Any) -> DataLoader:
    """A DataLoader whose processes are forked at the first batch, and live as long as it does.

    Args:
        dataset: gives the views.
        workers: how many processes, at least 1.
        device: where they are needed.
        order: the arguments that decide which images are in which batch.
    """
    return DataLoader(
        dataset,
        collate_fn=MultiViewCollate(),
        num_workers=workers,
        persistent_workers=True,
        multiprocessing_context="fork",
        pin_memory=device.type == "cuda",
        **order,
    )


def batches(loader: Iterable[Any], device: torch.device) -> Iterator[list[Tensor]]:
    """Each batch on the device: all views, [b, 3, S, S] each, then their grids, [b, cells, cells, 2] each, if any."""
    for views_and_grids, _, _ in loader:
        yield [each.to(device, non_blocking=True) for each in views_and_grids]


def vicregl_transform(recipes: Sequence[ViewRecipe], grids: Sequence[int]) -> VICRegLTransform:
    """lightly's transform with our settings, where it has them.

    It has one probability of blur and of solarising for all views of a size, where the recipe has one for even and one
    for odd views: it is given their mean, so that as much is done.
    """
    large, small = recipes[:LARGE_VIEWS], recipes[LARGE_VIEWS:]
    options: dict[str, Any] = {"n_global_views": len(large), "n_local_views": len(small)}
    for name, group, grid in (("global", large, grids[0]), ("local", small, grids[-1])):
        if group:
            options |= {
                f"{name}_crop_size": group[0].size,
                f"{name}_crop_scale": group[0].crop.scale,
                f"{name}_grid_size": grid,
                f"{name}_gaussian_blur_prob": mean(each.blur_probability for each in group),
                f"{name}_gaussian_blur_sigmas": group[0].blur_sigma,
                f"{name}_solarize_prob": mean(each.solarise_probability for each in group),
            }
    one = large[0]
    return VICRegLTransform(
        **options, hf_prob=one.flip_probability, cj_prob=one.jitter_probability, random_gray_scale=one.grey_probability
    )
