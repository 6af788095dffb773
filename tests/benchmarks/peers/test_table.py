"""A peer that is missing is named and left out; one that fails or drops images is not credited with speed."""

import sys

import pytest

from dataprep.errors import UserError
from vicregl_fast.benchmarks.options import bench_parser
from vicregl_fast.benchmarks.peers.names import LOADER_PEERS
from vicregl_fast.benchmarks.peers.table import PEERS, PeerFailed, open_peers
from vicregl_fast.benchmarks.peers.work import PeerWork

STAGES = ("decode", "views")


def test_every_name_has_its_row() -> None:
    assert set(PEERS) == set(LOADER_PEERS)


@pytest.mark.parametrize(
    ("peer", "package"), [("spdl", "spdl"), ("torchcodec", "torchcodec"), ("lightly", "lightly"), ("kornia", "kornia")]
)
def test_a_missing_peer_is_named_and_skipped(
    peer: str, package: str, work: PeerWork, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [
        name for name in sys.modules if name.startswith((f"{package}.", f"vicregl_fast.benchmarks.peers.{peer}"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # type: ignore[arg-type]  # as if it were not installed
    assert list(open_peers([peer, "torchvision_io"], STAGES, work)) == ["torchvision_io.decode"]  # type: ignore[list-item]
    said = capsys.readouterr().err
    assert (
        said.startswith(f"note: peer {peer} is left out")
        and said.count("\n") == 1
        and "pip install '.[peers,dali]'" in said
    )


def test_stages_that_are_not_asked_for_are_left_out(work: PeerWork) -> None:
    assert open_peers(["torchvision_io"], ["views"], work) == {}
    assert open_peers(["torchvision_io"], ["decode"], work)["torchvision_io.decode"]() == 6


def test_a_peer_that_fails_is_named(work: PeerWork) -> None:
    broken = PeerWork([[b"no image"]], work.recipes, work.grids, 1, work.device)
    call = open_peers(["torchvision_io"], STAGES, broken)["torchvision_io.decode"]
    with pytest.raises(PeerFailed, match=r"peer torchvision_io fails with these images \("):
        call()


def test_a_peer_that_drops_images_is_named(work: PeerWork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "spdl", lambda work: {"decode": lambda: 5})
    with pytest.raises(PeerFailed, match="peer spdl gave 5 of 6 images"):
        open_peers(["spdl"], STAGES, work)["spdl.decode"]()


def test_the_option_takes_all_or_names() -> None:
    parser = bench_parser(None)
    for given, peers in (
        ([], []),
        (["--peers", "all"], list(LOADER_PEERS)),
        (["--peers", "spdl,kornia"], ["spdl", "kornia"]),
    ):
        assert parser.parse_args(["loader", "--path", "x", *given]).peers == peers
    with pytest.raises(UserError, match="there is no 'ffcv'"):
        parser.parse_args(["loader", "--path", "x", "--peers", "ffcv"])
