"""lightly's VICRegL views, by PIL in the worker processes of a DataLoader, with its own way to collate them."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import mean
from typing import Any

from lightly.data.multi_view_collate import MultiViewCollate
from lightly.transforms import VICRegLTransform
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vicregl_fast.augment.recipe import ViewRecipe
from vicregl_fast.benchmarks.peers.work import Call, PeerWork
from vicregl_fast.geometry.directions import LARGE_VIEWS


class JpegViews(Dataset):
    """What ``MultiViewCollate`` takes of each image: its views, a label, and a name.

    Args:
        images: the bytes of each.
        transform: an image to a list of its views.
    """

    def __init__(self, images: Sequence[bytes], transform: Callable[[Image.Image], list[Tensor]]):
        self._images, self._transform = images, transform

    def __getitem__(self, index: int) -> tuple[list[Tensor], int, str]:
        image = Image.open(io.BytesIO(self._images[index])).convert("RGB")
        return self._transform(image), 0, str(index)


def lightly_calls(work: PeerWork) -> dict[str, Call]:
    """``views_with_grids``: the views, and where the cells of each lie; cells are matched in lightly's loss only."""
    loader = view_loader(work)
    return {"views_with_grids": lambda: sum(len(made[0]) for made in batches(loader, work))}


def view_loader(work: PeerWork) -> DataLoader:
    """Loads the batches in their order; its processes start with the first of them, and live as long as it does."""
    places = iter(range(len(work.images)))
    return DataLoader(
        JpegViews(work.images, vicregl_transform(work.recipes, work.grids)),
        batch_sampler=[[next(places) for _ in batch] for batch in work.jpegs],
        collate_fn=MultiViewCollate(),
        num_workers=work.workers,
        persistent_workers=True,
        pin_memory=work.device.type == "cuda",
    )


def batches(loader: Iterable[Any], work: PeerWork) -> Iterator[list[Tensor]]:
    """Each batch on the device: first its views, [b, 3, S, S] each, then their grids, [b, cells, cells, 2] each."""
    for views_and_grids, _, _ in loader:
        yield [each.to(work.device, non_blocking=True) for each in views_and_grids]


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
