"""Measures time to accuracy: our run and the peers that are asked for and installed, in turns, once for each seed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from dataprep.errors import UserError, reason_of
from dataprep.notes import note
from vicregl_fast.benchmarks.measurements import Interim, Measurement, nothing_interim
from vicregl_fast.benchmarks.peers.names import QualityPeer
from vicregl_fast.benchmarks.quality.curve import Curve, rows_of_curves, rows_of_targets
from vicregl_fast.benchmarks.quality.ours import train_ours
from vicregl_fast.benchmarks.quality.run import QualityRun


def bench_quality(
    runs: Sequence[QualityRun],
    peers: Sequence[QualityPeer],
    targets: Sequence[float],
    plot: Path | None,
    interim: Interim = nothing_interim,
) -> Iterator[Measurement]:
    """Yields the accuracy without training, the curve of each method when it is done, and the seconds to accuracies.

    With several seeds the methods take turns, and each figure has a sample for each seed.

    Args:
        runs: what is trained on, and how it is judged; one for each seed.
        peers: who trains beside; a note says who is not installed, or failed.
        targets: accuracies in percent; with none, the highest that all reach.
        plot: file for the picture; None for none.
        interim: is given the points so far of a method's first seed, and the figures of its seeds so far.

    Raises:
        UserError: our run cannot be trained, or the picture cannot be written.
    """
    _check_plot(plot)
    methods = {"ours": train_ours, **_installed(peers)}
    yield Measurement.of("quality.majority.accuracy", [runs[0].judge.majority_figures()["accuracy"]], "%")
    untrained = Measurement.of("quality.untrained.accuracy", [run.untrained_accuracy() for run in runs], "%")
    yield untrained
    curves: dict[str, list[Curve]] = {name: [] for name in methods}
    for run in runs:
        for name in list(curves):
            noted = (lambda curve: interim(list(curve.rows()))) if not curves[name] else _unnoted
            try:
                curves[name].append(methods[name](replace(run, noted=noted)))
            except Exception as error:  # libraries that are not ours fail in many ways
                if name == "ours":
                    raise
                note(f"peer {name} is left out, since it failed in its training ({reason_of(error)})")
                del curves[name]
                continue
            interim(list(rows_of_curves(curves[name])))
            if len(curves[name]) == len(runs):
                yield from rows_of_curves(curves[name])
    yield from rows_of_targets(list(curves.values()), targets, untrained.max)
    if plot is not None:
        _write_plot(plot, list(curves.values()), untrained.value, runs[0])


def _unnoted(curve: Curve) -> None:
    """Of later seeds only whole curves count: until then those of earlier seeds stay."""


def _installed(peers: Sequence[QualityPeer]) -> dict[str, Callable[[QualityRun], Curve]]:
    """What trains each peer that is installed, by its name."""
    if not peers:
        return {}
    try:
        from vicregl_fast.benchmarks.quality.lightly_training import TRAIN
    except ImportError as error:
        for peer in peers:
            note(f"peer {peer} is left out, since it cannot be loaded ({reason_of(error)}): pip install '.[peers]'")
        return {}
    return {peer: TRAIN[peer] for peer in peers}


def _check_plot(path: Path | None) -> None:
    """Raises UserError if the picture could not be drawn after hours of training."""
    if path is None:
        return
    if path.suffix != ".png":
        raise UserError(f"--plot is a PNG, and {path} is named otherwise: give it a name that ends in .png")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError("--plot needs matplotlib, which is not installed: pip install '.[eval]'") from error


def _write_plot(path: Path, methods: Sequence[Sequence[Curve]], untrained: float, run: QualityRun) -> None:
    from vicregl_fast.benchmarks.quality.plot import draw_quality

    config = run.config
    title = f"{config.model.backbone}, batch {config.batch_size}, {config.epochs} epochs, {run.train.path.name}"
    try:
        draw_quality(methods, untrained, title).savefig(path, dpi=110)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; choose another --plot") from error
