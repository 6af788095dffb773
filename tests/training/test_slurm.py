"""Where the tasks of a step meet is read from SLURM's variables."""

import pytest

from vicregl_fast.training.slurm import PORTS, as_torchrun, first_node


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node7", "node7"),
        ("node[01-03,07],other-1", "node01"),
        ("other-1,node[01-03]", "other-1"),
        ("gpu[9,12-14]", "gpu9"),
        ("rack[0-1]node[08-15],login", "rack0node08"),
        ("a-b[2-3]-ib", "a-b2-ib"),
        ("node-1.example.org", "node-1.example.org"),
        ("", ""),
    ],
)
def test_the_first_of_the_nodes(nodes: str, first: str) -> None:
    assert first_node(nodes) == first


def test_steps_that_share_a_node_meet_at_ports_of_their_own() -> None:
    steps = [(job, step) for job in range(90_000, 90_100) for step in range(8)]
    ports = [as_torchrun({"SLURM_JOB_ID": str(job), "SLURM_STEP_ID": str(step)})["MASTER_PORT"] for job, step in steps]
    assert len(set(ports)) == len(steps) and all(int(port) in PORTS for port in ports)
