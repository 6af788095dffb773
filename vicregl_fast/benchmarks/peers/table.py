"""The table of peers: what each one measures. A peer that is not installed is left out."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dataprep.errors import UserError, reason_of
from dataprep.notes import note
from vicregl_fast.benchmarks.loader_sources import open_bytes
from vicregl_fast.benchmarks.peers.names import LoaderPeer
from vicregl_fast.benchmarks.peers.work import Call, PeerWork


class PeerFailed(UserError):
    """A peer did not do its work."""


def jpeg_batches(path: Path, cache: Path, batches: Sequence[np.ndarray]) -> list[list[bytes]]:
    """Reads the bytes of all images of these batches, int64 [b] each, from the store that the engines read.

    Raises:
        UserError: it cannot be opened, or holds other images than JPEGs.
    """
    store = open_bytes(path, cache)
    return [[store.stored(index).tobytes() for index in batch.tolist()] for batch in batches]


def open_peers(peers: Sequence[LoaderPeer], stages: Sequence[str], work: PeerWork) -> dict[str, Call]:
    """The calls of every peer by their names, such as ``spdl.decode``; a note says which is left out, and why.

    Args:
        peers: which to open.
        stages: calls whose names do not begin with one of these are left out.
        work: what they do.
    """
    calls: dict[str, Call] = {}
    for peer in peers:
        try:
            made = PEERS[peer](work)
        except Exception as error:  # libraries that are not ours miss what they need in many ways
            note(
                f"peer {peer} is left out, since it cannot be loaded ({reason_of(error)}): pip install '.[peers,dali]'"
            )
            continue
        calls |= {
            f"{peer}.{row}": _checked(peer, call, len(work.images))
            for row, call in made.items()
            if row.startswith(tuple(stages))
        }
    return calls


def _checked(peer: LoaderPeer, call: Call, images: int) -> Call:
    """The same call, which raises PeerFailed if it fails or drops images."""

    def run() -> int:
        try:
            done = call()
        except Exception as error:
            raise PeerFailed(f"peer {peer} fails with these images ({reason_of(error)})") from error
        if done != images:
            raise PeerFailed(f"peer {peer} gave {done} of {images} images")
        return done

    return run


def _lightly(work: PeerWork) -> dict[str, Call]:
    from vicregl_fast.benchmarks.peers.lightly import lightly_calls

    return lightly_calls(work)


def _spdl(work: PeerWork) -> dict[str, Call]:
    from vicregl_fast.benchmarks.peers.spdl import spdl_calls

    return spdl_calls(work)


def _torchcodec(work: PeerWork) -> dict[str, Call]:
    from vicregl_fast.benchmarks.peers.torchcodec import torchcodec_calls

    return torchcodec_calls(work)


def _torchvision_io(work: PeerWork) -> dict[str, Call]:
    from vicregl_fast.benchmarks.peers.torchvision_io import torchvision_io_calls

    return torchvision_io_calls(work)


def _dali_whole(work: PeerWork) -> dict[str, Call]:
    from vicregl_fast.benchmarks.peers.dali_whole import dali_whole_calls

    return dali_whole_calls(work)


def _kornia(work: PeerWork) -> dict[str, Call]:
    from vicregl_fast.benchmarks.peers.kornia import kornia_calls

    return kornia_calls(work)


PEERS: dict[LoaderPeer, Callable[[PeerWork], dict[str, Call]]] = {
    "lightly": _lightly,
    "spdl": _spdl,
    "torchcodec": _torchcodec,
    "torchvision_io": _torchvision_io,
    "dali_whole": _dali_whole,
    "kornia": _kornia,
}
