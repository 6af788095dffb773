"""Measures engines and peers side by side, in images a second: decoding alone, and decoding with views made."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import torch

from dataprep.errors import UserError
from dataprep.notes import note
from vicregl_fast.augment.backends import choose_backend
from vicregl_fast.augment.recipe import ViewsConfig, view_recipes
from vicregl_fast.benchmarks.bare_decoding import BareCopying, BareDecoding
from vicregl_fast.benchmarks.loader_sources import open_all
from vicregl_fast.benchmarks.measurements import Interim, Measurement, nothing_interim
from vicregl_fast.benchmarks.peers.names import LoaderPeer
from vicregl_fast.benchmarks.peers.table import PeerFailed, jpeg_batches, open_peers
from vicregl_fast.benchmarks.peers.work import PeerWork
from vicregl_fast.benchmarks.pil_decoding import PilDecoding
from vicregl_fast.benchmarks.timing import time_side_by_side
from vicregl_fast.data.config import EngineName
from vicregl_fast.data.engine import Feed
from vicregl_fast.data.engine_feed import EngineFeed
from vicregl_fast.data.engine_table import FeedOptions, OpenedStore, open_feed
from vicregl_fast.data.image_folder import ImageFolder
from vicregl_fast.data.order import GlobalBatches
from vicregl_fast.data.source import Source
from vicregl_fast.data.store import Store
from vicregl_fast.data.stored_images import open_jpegs, open_stored
from vicregl_fast.data.views import ViewMaker
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.losses.plan import plan_directions

Call = Callable[[], object]

BATCHES = 8
"""Each duration is that of this many batches; where there are fewer, images are taken several times."""

FORKING = ("torchvision.", "peer.lightly.")
"""What has worker processes."""

RATIOS = {
    "ffcv.decode_over_bare": ("ffcv.decode", "bare.decode"),
    "ffcv.decode_over_copy": ("ffcv.decode", "bare.copy"),
    "ffcv.views_over_torchvision": ("ffcv.views", "torchvision.views"),
    "dali.views_over_torchvision": ("dali.views", "torchvision.views"),
    "ffcv.decode_over_torchvision_views": ("ffcv.decode", "torchvision.views"),
}


@dataclass(frozen=True)
class LoaderBench:
    """What is measured, and with what.

    Attributes:
        path: a ``.beton`` store, or a folder of images, which is converted to a temporary store.
        engines: the engines to measure, in this order.
        stages: ``decode`` measures whole decoded images, ``views`` the views made of them.
        views: which views are made of every image.
        grids: cells along a side of each view's feature map.
        workers: decoding threads, or processes of the torchvision engine.
        batch_size: images in a batch.
        device: where the views are needed.
        peers: other libraries to measure in the same turns, where they are installed.
    """

    path: Path
    engines: Sequence[EngineName]
    stages: Sequence[Literal["decode", "views"]]
    views: ViewsConfig
    grids: Sequence[int]
    workers: int
    batch_size: int
    device: torch.device
    peers: Sequence[LoaderPeer] = ()

    def maker(self) -> ViewMaker:
        """Makes float32 views by the device's fastest backend, and the location matches that a default loss needs."""
        recipes = view_recipes(self.views)
        return ViewMaker(
            recipes=recipes,
            grids=self.grids,
            directions=plan_directions(LossConfig(), len(recipes)).location,
            mirror_flips=True,
            seed=0,
            device=self.device,
            backend=choose_backend("auto", self.device),
            threads=self.workers,
        )

    def batches(self, store: Store) -> list[np.ndarray]:
        """The sample indices, int64 [batch_size], of every batch that is measured, in random order.

        Raises:
            UserError: the store has fewer images than one batch.
        """
        if len(store) < self.batch_size:
            raise UserError(f"{store.path} has only {len(store)} images: give a --batch of at most as many")
        order = GlobalBatches(len(store), self.batch_size, seed=0)
        return list(islice(chain.from_iterable(map(order.epoch, count())), BATCHES))


def bench_loaders(bench: LoaderBench, repeats: int, interim: Interim = nothing_interim) -> Iterator[Measurement]:
    """Measures images/s of every engine and stage, in turns, and then how many times faster some are (``RATIOS``).

    ``bare.decode`` is libjpeg-turbo on the store's bytes, which the peers are given, too; where all images are stored
    as pixels, ``bare.copy`` copies them. The torchvision engine reads the original image files. The first turn is not
    timed; a peer that fails in it is left out.

    Args:
        bench: what is measured.
        repeats: number of durations measured for each figure.
        interim: is given the rows of the turns so far after each.

    Raises:
        UserError: there is nothing to read at the path, there are too few images, or none of the engines can read them.
    """
    with TemporaryDirectory(prefix="bench-loader-") as cache:
        calls: dict[str, Call] = {}
        for engine, opened in open_all(bench.path, Path(cache), bench.engines).items():
            batches = bench.batches(opened.store)
            calls |= {f"{engine}.{stage}": call for stage, call in _calls(bench, opened, batches).items()}
        if "decode" in bench.stages:
            try:
                calls = {**_bare(bench, Path(cache), batches), **calls}
            except UserError as error:
                note(f"bare is left out: {error}")
        calls |= _peer_calls(bench, Path(cache), batches)
        turns = _working(calls)
        names = [name for name in calls if name in turns]
        images = len(batches) * bench.batch_size

        def rows(seconds: Mapping[str, Sequence[float]]) -> list[Measurement]:
            return [
                *(Measurement.rate(f"loader.{name}", images, seconds[name], "images/s") for name in names),
                *_ratios(seconds),
            ]

        seconds = time_side_by_side(
            turns, bench.device, repeats, warm_up_turns=0, after_turn=lambda so_far: interim(rows(so_far))
        )
        turns.clear()
        calls.clear()  # ends the worker processes, which only the calls refer to
    yield from rows(seconds)


def _working(calls: Mapping[str, Call]) -> dict[str, Call]:
    """Makes each call once, and returns them in the order of their turns; a note says which peer is left out, and why.

    Worker processes are forked here, which is safe only while no threads decode yet.
    """
    working: dict[str, Call] = {}
    for name in sorted(calls, key=lambda name: not name.startswith(FORKING)):
        try:
            calls[name]()
        except PeerFailed as failure:
            note(f"{name} is left out: {failure}")
            continue
        working[name] = calls[name]
    return working


def _ratios(seconds: Mapping[str, Sequence[float]]) -> Iterator[Measurement]:
    for name, (over, under) in {**RATIOS, **_peer_ratios(seconds)}.items():
        if over in seconds and under in seconds:
            yield Measurement.speedup(f"loader.{name}", seconds[over], seconds[under])


def _peer_ratios(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The ffcv engine over each peer that decodes whole images, or makes views."""
    ratios = {}
    for name in names:
        kind, _, rest = name.partition(".")
        peer, _, work = rest.partition(".")
        stage = "views" if work.startswith("views") else work
        if kind == "peer" and stage in ("decode", "views"):
            ratios[f"ffcv.{stage}_over_peer.{peer}"] = (f"ffcv.{stage}", name)
    return ratios


def _peer_calls(bench: LoaderBench, cache: Path, batches: Sequence[np.ndarray]) -> dict[str, Call]:
    """Makes the peers' calls, whose names begin with ``peer.``; a note says if they cannot read the images."""
    if not bench.peers:
        return {}
    try:
        jpegs = jpeg_batches(bench.path, cache, batches)
    except UserError as error:
        note(f"peers are left out: {error}")
        return {}
    work = PeerWork(jpegs, view_recipes(bench.views), bench.grids, bench.workers, bench.device)
    return {f"peer.{name}": call for name, call in open_peers(bench.peers, bench.stages, work).items()}


def _bare(bench: LoaderBench, cache: Path, batches: Sequence[np.ndarray]) -> dict[str, Call]:
    """Makes a call that decodes all batches by libjpeg-turbo alone, or copies their pixels.

    Raises:
        UserError: the store cannot be opened, or holds JPEGs and pixels.
    """
    path = Source(bench.path, cache).beton()
    indices, store = np.concatenate(batches), open_stored(path)
    if store.raw.all():
        copying = BareCopying(store, bench.workers)
        return {"bare.copy": lambda: copying.copy(indices)}
    decoding = BareDecoding(open_jpegs(path), bench.batch_size, bench.workers)
    return {"bare.decode": lambda: decoding.decode(indices)}


def _calls(bench: LoaderBench, opened: OpenedStore, batches: Sequence[np.ndarray]) -> dict[str, Call]:
    """Makes, for each stage, a call that passes all batches through the engine of this store."""
    feed = open_feed(opened, bench.maker(), FeedOptions(bench.batch_size, bench.workers))
    calls: dict[str, Call] = {}
    if "decode" in bench.stages:
        if isinstance(opened.store, ImageFolder):
            calls["decode"] = PilDecoding(opened.store, batches, bench.workers).decode
        else:
            assert isinstance(feed, EngineFeed)
            calls["decode"] = lambda: _decode(feed, batches)
    if "views" in bench.stages:
        calls["views"] = lambda: _consume(feed, batches)
    return calls


def _decode(feed: EngineFeed, batches: Sequence[np.ndarray]) -> None:
    for indices in batches:
        feed.engine.decode(indices)


def _consume(feed: Feed, batches: Sequence[np.ndarray]) -> None:
    with feed.loader(batches, epoch=0) as loader:
        for _ in loader:
            continue
