"""The settings of ``evaluate embed``."""

from dataclasses import dataclass

from vicregl_fast.evaluation.options import check_at_least, default_workers, option

PICTURES = ("auto", "umap", "pca", "none")


@dataclass(frozen=True)
class EmbedConfig:
    """How features are computed. Each field's text is the help of its command-line option."""

    size: int = option(224, "pixels of a side of the centre crop, of 224 where the short side has 256")
    batch_size: int = option(64, "images a forward pass")
    workers: int = option(default_workers(), "threads or processes that decode images")
    picture: str = option(
        "auto", "features in the plane by UMAP or principal components; auto takes UMAP if it is installed", PICTURES
    )
    seed: int = option(0, "seed of UMAP, and of the images that the picture shows, where there are many")

    def __post_init__(self) -> None:
        check_at_least("--size", self.size, 1)
        check_at_least("--batch_size", self.batch_size, 1)
        check_at_least("--workers", self.workers, 0)
