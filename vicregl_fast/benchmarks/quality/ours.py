"""Our own run: the trainer as ``vicregl_fast.train`` builds it, checkpoints included."""

from vicregl_fast.benchmarks.quality.curve import Curve
from vicregl_fast.benchmarks.quality.run import QualityRun
from vicregl_fast.training.processes import Processes
from vicregl_fast.training.trainer import Trainer


def train_ours(run: QualityRun) -> Curve:
    """Trains to the end. The conversion of a folder to a store is preparation.

    Raises:
        UserError: as ``Trainer`` does.
        SystemExit: a signal asked for a stop.
    """
    recorder = run.recorder("ours")
    trainer = Trainer(run.config, Processes(0, 1, run.device))
    epoch_images = trainer.order.steps * run.config.batch_size

    def note_epoch(epochs: int) -> None:
        recorder.epoch_ended(epochs, epochs * epoch_images, trainer.learner.network.backbone)

    trainer.after_epoch, trainer.goes_on_later = note_epoch, False
    recorder.start()
    code = trainer.run()
    if code:
        raise SystemExit(code)
    return recorder.curve()
