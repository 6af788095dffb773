"""Measures the speed of one part on this machine: ``python -m vicregl_fast.bench PART``; ``--help`` lists the parts."""

import argparse
import sys
from collections.abc import Sequence

from dataprep.errors import exit_on_user_error
from vicregl_fast.benchmarks.measurements import (
    format_measurements,
    read_measurements,
    write_measurements,
)
from vicregl_fast.benchmarks.options import bench_parser

NAMES_WIDTH = 42
"""Of the column of names in the table that grows as figures are measured."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures one part, or shows or reports saved figures.

    Each figure is printed, and added to the file of ``--json``, as soon as it has been measured.

    Args:
        arguments: of the command line, without the program's name; None means ``sys.argv``.
    """
    given = sys.argv[1:] if arguments is None else arguments
    with exit_on_user_error():
        options = bench_parser(__doc__).parse_args(given)
        if options.command == "show":
            rows = [row for file in options.files for row in read_measurements(file)]
            print(format_measurements([row for row in rows if row.name.startswith(options.only)]))
        elif options.command == "report":
            _report(options)
        else:
            _measure(options, given)


def _report(options: argparse.Namespace) -> None:
    from vicregl_fast.benchmarks.report.filled_page import fill_page
    from vicregl_fast.benchmarks.report.measured_file import read_folder
    from vicregl_fast.benchmarks.report.writing import write_report

    if options.fill is None:
        print(write_report(options.folder, options.out or options.folder))
    else:
        fill_page(options.fill, {file.name: file for file in read_folder(options.folder)})
        print(options.fill)


def _measure(options: argparse.Namespace, given: Sequence[str]) -> None:
    import torch

    from vicregl_fast.benchmarks.memory import with_peak_memory
    from vicregl_fast.devices import choose_device
    from vicregl_fast.environment import describe_environment
    from vicregl_fast.training.precision import choose_kernels

    options.device = choose_device(options.device)
    choose_kernels(deterministic=False)  # as training does
    environment = describe_environment(options.device, "vicregl_fast.bench", given)
    environment |= {"threads": torch.get_num_threads(), "warm_up": options.warm_up, "timed": options.timed}
    if options.environment is not None:
        environment |= options.environment(options)
    rows, measured = options.benchmark(options), []
    if options.peak_of_whole:
        rows = with_peak_memory(rows, options.command, options.device)
    for measurement in rows:
        measured.append(measurement)
        print(format_measurements([measurement], NAMES_WIDTH), flush=True)
        if options.json is not None:
            write_measurements(options.json, environment, measured)


if __name__ == "__main__":
    main()
