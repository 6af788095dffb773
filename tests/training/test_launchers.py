"""Who starts several processes must say where they meet; who starts one may be anything."""

import pytest

from dataprep.errors import UserError
from vicregl_fast.training.launchers import Place, place_of, speaks_for_its_machine

TORCHRUNS = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node-1",
    "MASTER_PORT": "29500",
}
BATCH = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_NPROCS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
NODES = {"SLURM_JOB_NODELIST": "node[03-04],other", "SLURM_STEP_NODELIST": "node04,other"}
STEP = {**BATCH, **NODES, "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"}
PORT = 15007


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, Place()),
        (TORCHRUNS, Place(3, 4, 1, "node-1", 29500)),
        ({**STEP, **TORCHRUNS}, Place(3, 4, 1, "node-1", 29500)),  # torchrun in a step of several tasks joins them
        (
            {**TORCHRUNS, "LOCAL_WORLD_SIZE": "", "LOCAL_RANK": "", **STEP, "SLURM_LOCALID": "2"},
            Place(3, 4, 2, "node-1", 29500),
        ),
        (STEP, Place(0, 4, 0, "node04", PORT)),
        ({**STEP, "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}, Place(3, 4, 1, "node04", PORT)),
        ({**STEP, "SLURM_STEP_ID": "2"}, Place(0, 4, 0, "node04", PORT + 2018)),
        ({**STEP, "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29400"}, Place(0, 4, 0, "10.0.0.1", 29400)),
        ({**BATCH, "SLURM_JOB_NODELIST": "node[03-04],other", "SLURM_STEP_ID": "0"}, Place(0, 4, 0, "node03", PORT)),
        ({**STEP, "SLURM_PROCID": "2", "PMI_RANK": "2", "PMI_SIZE": "4"}, Place(2, 4, 0, "node04", PORT)),  # --mpi=pmi2
        ({"RANK": "0", "WORLD_SIZE": "1"}, Place()),
        ({"RANK": "", "WORLD_SIZE": ""}, Place()),
        ({"MASTER_ADDR": "node-1", "MASTER_PORT": "29500"}, Place()),
        (BATCH, Place()),  # a script of sbatch, or a shell of salloc
        ({**STEP, "SLURM_STEP_NUM_TASKS": "1"}, Place()),  # srun -n 1 in an allocation of several
        ({"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0", "PMI_SIZE": "1", "PMI_RANK": "0"}, Place()),
    ],
)
def test_a_process_knows_its_place(variables: dict[str, str], place: Place) -> None:
    assert place_of(variables) == place


@pytest.mark.parametrize(
    "variables",
    [
        {**STEP, "OMPI_COMM_WORLD_SIZE": "16", "OMPI_COMM_WORLD_RANK": "0"},  # mpirun lets srun start its daemons
        {**STEP, "PMI_SIZE": "4", "PMI_RANK": "1"},
        {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"},
        {"PMI_SIZE": "2", "PMI_RANK": "0"},
        {"PMIX_RANK": "1"},
        {"MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": "0"},
    ],
)
def test_several_processes_that_nothing_joins_are_refused(variables: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"has started several .* would train on its own: .*torchrun"):
        place_of(variables)


def test_the_shell_of_a_step_that_has_the_terminal_is_alone() -> None:
    shell = {**STEP, "SLURM_PTY_PORT": "4000"}
    assert place_of(shell, has_terminal=True) == Place()
    with pytest.raises(UserError, match="srun --pty has started several tasks, and this is number 0 of them"):
        place_of(shell, has_terminal=False)
    with pytest.raises(UserError, match="this is number 1 of them"):
        place_of({**shell, "SLURM_PROCID": "1"}, has_terminal=True)


def test_a_task_that_does_not_know_its_nodes_is_told() -> None:
    with pytest.raises(UserError, match="this is process 1 of 4, and MASTER_ADDR, where they meet, is not set"):
        place_of({**BATCH, "SLURM_PROCID": "1"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"WORLD_SIZE": ""}, "LOCAL_RANK and RANK is set in the environment, and WORLD_SIZE is not"),
        ({"RANK": ""}, "RANK is not: start with torchrun"),
        ({"RANK": "", "WORLD_SIZE": ""}, "RANK and WORLD_SIZE is not"),
        ({"RANK": "one"}, "RANK is 'one' in the environment, and must be a whole number from 0 to 3"),
        ({"RANK": "4"}, "RANK is '4'"),
        ({"RANK": "-1"}, "RANK is '-1'"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0'"),
        ({"LOCAL_RANK": "2"}, "LOCAL_RANK is '2' in the environment, and must be a whole number from 0 to 1"),
        ({"LOCAL_WORLD_SIZE": "2.0"}, "LOCAL_WORLD_SIZE is '2.0'"),
        ({"MASTER_ADDR": ""}, "this is process 3 of 4, and MASTER_ADDR, where they meet, is not set"),
        ({"MASTER_PORT": "x"}, "MASTER_PORT is 'x'"),
    ],
)
def test_wrong_variables_are_one_sentence(change: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words) as raised:
        place_of({**TORCHRUNS, **change})
    assert "\n" not in str(raised.value)


def test_one_process_of_a_machine_speaks_for_all() -> None:
    assert speaks_for_its_machine({}) and speaks_for_its_machine({**TORCHRUNS, "LOCAL_RANK": "0"})
    assert not speaks_for_its_machine(TORCHRUNS)
    assert speaks_for_its_machine(STEP) and not speaks_for_its_machine({**STEP, "SLURM_LOCALID": "1"})
