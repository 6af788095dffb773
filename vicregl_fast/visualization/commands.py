"""What each command of ``visualize`` draws, given its parsed options."""

from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from vicregl_fast.evaluation.options import default_workers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vicregl_fast.models.backbone import Backbone


def _curves(options: Namespace) -> "Figure":
    from vicregl_fast.runs.metrics import read_curves
    from vicregl_fast.visualization.curves import draw_curves

    return draw_curves(read_curves(options.run), str(options.run))


def _matches(options: Namespace) -> "Figure":
    from vicregl_fast.visualization.matches import draw_matches
    from vicregl_fast.visualization.network_matches import matches_of_run

    return draw_matches(matches_of_run(options.run, options.images, options.count, options.gamma, options.seed))


def _views(options: Namespace) -> "Figure":
    from vicregl_fast.augment.recipe import ViewsConfig
    from vicregl_fast.visualization.engine_views import draw_engine_views

    config = ViewsConfig(options.views, large_size=options.size)
    return draw_engine_views(options.path, config, options.engines, options.count, options.seed)


def _masks(options: Namespace) -> "Figure":
    from vicregl_fast.evaluation.segmentation.commands import open_masked_images
    from vicregl_fast.evaluation.segmentation.features import SegmentationFeatures
    from vicregl_fast.philox import permutation
    from vicregl_fast.visualization.mask_sheet import draw_masks
    from vicregl_fast.visualization.predicted_masks import learn_cells, predict_masks

    features, workers = SegmentationFeatures(_backbone(options), "last"), default_workers()
    train, val = open_masked_images(options)
    learned = permutation(options.seed, 0, len(train))[: options.train_count].tolist()
    shown = permutation(options.seed, 0, len(val))[: options.count].tolist()
    classify = learn_cells(features, train, learned, options.by, options.seed, workers)
    made = predict_masks(features, classify, val, shown, workers)
    by = {"linear": "linear head", "nearest": "nearest cells"}[options.by]
    return draw_masks(made, val.labels, f"{by} of {len(learned)} images")


def _similarity(options: Namespace) -> "Figure":
    from vicregl_fast.data.open_images import open_images
    from vicregl_fast.visualization.mapped_image import map_images
    from vicregl_fast.visualization.similarity import check_points, draw_similarity
    from vicregl_fast.visualization.some_images import one_image, some_images

    found = None if options.images is None else open_images(options.images)
    image = one_image(options.image, found)
    points = options.at or [(image.shape[1] / 2, image.shape[0] / 2)]
    check_points(points, image)
    others = [] if found is None else some_images(found, options.count, options.seed)
    chosen, *rest = map_images(_backbone(options), [image, *others], options.side)
    return draw_similarity(chosen, points, rest)


def _pca(options: Namespace) -> "Figure":
    from vicregl_fast.data.open_images import open_images
    from vicregl_fast.visualization.cell_colours import draw_cell_colours
    from vicregl_fast.visualization.mapped_image import map_images
    from vicregl_fast.visualization.some_images import some_images

    backbone = _backbone(options)
    images = some_images(open_images(options.images), options.count, options.seed)
    return draw_cell_colours(map_images(backbone, images, options.side))


def _backbone(options: Namespace) -> "Backbone":
    """The backbone that the options of ``add_weights`` name, on the device that computes."""
    from vicregl_fast.evaluation.candidates import placed_backbone
    from vicregl_fast.weights.source import read_weights

    return placed_backbone(read_weights(options.run, options.backbone), options.output_stride)


PICTURES: dict[str, Callable[[Namespace], "Figure"]] = {
    "curves": _curves,
    "matches": _matches,
    "views": _views,
    "masks": _masks,
    "similarity": _similarity,
    "pca": _pca,
}
