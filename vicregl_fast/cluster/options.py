"""The options of jobs."""

import argparse
import re
from pathlib import Path

from dataprep.command_line import SentenceParser, count


def launch_parser(description: str | None) -> SentenceParser:
    """Returns the parser of what stands before ``--`` on the command line."""
    parser = SentenceParser(
        prog="python -m vicregl_fast.launch",
        usage="%(prog)s [options] -- OPTIONS OF vicregl_fast.train",
        description=description,
    )
    parser.add_argument("--nodes", type=count, default=1, help="machines (1)")
    parser.add_argument("--gpus", type=count, default=8, help="GPUs of each, with one process a GPU (8)")
    parser.add_argument("--cpus_per_gpu", type=count, default=8, help="cores a process decodes with (8)")
    parser.add_argument("--time", type=minutes, default="24:00:00", metavar="[D-]HH:MM:SS", help="limit (24:00:00)")
    parser.add_argument("--mem", help="memory of each machine, such as 400G; 0 for all of it")
    for name in ("partition", "account", "qos", "constraint"):
        parser.add_argument(f"--{name}", help="as of sbatch")
    parser.add_argument(
        "--signal_seconds", type=count, default=180, help="how long before its limit the run is told to save (180)"
    )
    parser.add_argument("--log_dir", type=Path, help="folder of the logs (RUN_DIR/jobs)")
    parser.add_argument("--local", action="store_true", help="on this machine, without SLURM")
    parser.add_argument("--dry_run", action="store_true", help="print what would be submitted, and submit nothing")
    return parser


def minutes(text: str) -> int:
    """An argparse type: a time as SLURM writes it, in whole minutes."""
    found = re.fullmatch(r"(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is no time; give HH:MM:SS or D-HH:MM:SS")
    days, hours, of_hour, seconds = (int(part or 0) for part in found.groups())
    total = (days * 24 + hours) * 60 + of_hour + (seconds > 0)
    if total < 1:
        raise argparse.ArgumentTypeError(f"{text} is too short")
    return total
