"""What all that train in one comparison have in common."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dataprep.errors import UserError
from vicregl_fast.benchmarks.quality.curve import Curve
from vicregl_fast.benchmarks.quality.recorder import Recorder, judged_epochs
from vicregl_fast.config import RunConfig, parse_config
from vicregl_fast.data.open_images import open_images
from vicregl_fast.data.store import Images
from vicregl_fast.data.threads import decoding_threads
from vicregl_fast.evaluation.batchnorm import reestimate_batchnorm
from vicregl_fast.evaluation.chosen_images import open_chosen
from vicregl_fast.evaluation.classification.config import KnnConfig
from vicregl_fast.evaluation.classification.knn import KnnJudge
from vicregl_fast.models.backbone import Backbone
from vicregl_fast.weights.loading import drawn_backbone


@dataclass(frozen=True)
class QualityRun:
    """One comparison, with one seed.

    Attributes:
        config: of our run, from which others take what they have in common with it.
        train: the images to learn from, whose labels only the judge is told.
        judge: by k-NN, as ``evaluate knn`` does it.
        points: how often each network is judged.
        device: where it trains.
        noted: is given each curve so far, after each of its points.
    """

    config: RunConfig
    train: Images
    judge: KnnJudge
    points: int
    device: torch.device
    noted: Callable[[Curve], None] = lambda curve: None

    @property
    def workers(self) -> int:
        """Threads or processes that decode."""
        return max(1, decoding_threads(self.config.data.workers, sharers=1))

    def recorder(self, name: str) -> Recorder:
        """Begins a curve; time counts from now on."""
        return Recorder(name, self.accuracy, judged_epochs(self.config.epochs, self.points), self.device, self.noted)

    def accuracy(self, backbone: Backbone) -> float:
        """The accuracy of a backbone in eval mode, in percent."""
        return self.judge.judge(backbone, self.config.seed).figures["accuracy"]

    def untrained_accuracy(self) -> float:
        """That of the same architecture as it is drawn, with BatchNorm statistics of training images."""
        backbone = drawn_backbone(self.config.model.backbone_config, self.config.seed).to(self.device)
        reestimate_batchnorm(backbone, self.judge.training_images(self.config.seed))
        return self.accuracy(backbone)


@dataclass(frozen=True)
class LabelledImages:
    """Where images with labels are: a folder or a store.

    Attributes:
        path: of it.
        list_file: names the images of a folder to use; None uses all of them.
    """

    path: Path
    list_file: Path | None = None


def open_run(
    settings: list[str],
    train: LabelledImages,
    test: LabelledImages,
    points: int,
    device: torch.device,
    run_dir: Path,
) -> QualityRun:
    """Opens the images and makes the configuration, in which a folder's images for training have no labels.

    So no classifier is trained beside the backbone, as the peers train none.

    Args:
        settings: those of a run, as options of ``vicregl_fast.train``.
        train, test: images to learn from, and to classify.
        points: how often each network is judged.
        device: where it trains.
        run_dir: folder for our runs, one folder in it for each seed.

    Raises:
        UserError: a setting is wrong, or the images are, or training would not begin with drawn weights.
    """
    images = [f"--data.path={train.path}", "--data.val_path=null", f"--run_dir={run_dir}"]
    if train.path.is_dir():
        images += ["--data.labels=none", f"--data.list={train.list_file or 'null'}"]
    config = parse_config([*settings, *images])
    if config.model.weights is not None:
        raise UserError("all networks begin with the same drawn weights: leave model.weights at null")
    known = open_chosen(train.path, train.list_file)
    tested = open_chosen(test.path, test.list_file, like=known)
    judge = KnnJudge(known, tested, KnnConfig(batch_size=config.batch_size), device)
    return QualityRun(config, open_images(train.path, train.list_file), judge, points, device)


def with_seeds(run: QualityRun, seeds: int) -> list[QualityRun]:
    """The same comparison with so many seeds, from its own on; each of our runs has a folder within the run's."""
    config = run.config
    folders = [Path(config.run_dir) / str(number) for number in range(seeds)]
    return [
        replace(run, config=replace(config, seed=config.seed + number, run_dir=str(folder)))
        for number, folder in enumerate(folders)
    ]
