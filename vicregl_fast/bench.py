"""Measures the speed of one part on this machine: ``python -m vicregl_fast.bench PART``; ``--help`` lists the parts."""

import argparse
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from dataprep.errors import exit_on_user_error
from vicregl_fast.benchmarks.measurements import Measurement, format_measurements, read_measurements
from vicregl_fast.benchmarks.options import bench_parser
from vicregl_fast.benchmarks.result_file import ResultFile

NAMES_WIDTH = 42
"""Of the column of names in the table that grows as figures are measured."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures one part, or shows or reports saved figures.

    Each figure is printed, and added to the file of ``--json`` (``ResultFile``), as soon as it has been measured. Parts
    that measure in turns pass what they have so far to ``options.interim``, which adds it to the file alone.

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
    from vicregl_fast.devices import choose_device, memory_shortage_said
    from vicregl_fast.environment import describe_environment
    from vicregl_fast.training.precision import choose_kernels

    options.device = choose_device(options.device)
    choose_kernels(deterministic=False)  # as training does
    environment = describe_environment(options.device, "vicregl_fast.bench", given)
    environment |= {"threads": torch.get_num_threads(), "warm_up": options.warm_up, "timed": options.timed}
    if options.environment is not None:
        environment |= options.environment(options)
    with ExitStack() as stack:
        stack.enter_context(_ended_by_sigterm())
        stack.enter_context(memory_shortage_said("a smaller --batch"))
        file = None if options.json is None else stack.enter_context(ResultFile(options.json, environment))
        options.interim = (lambda rows: None) if file is None else file.add_interim
        rows = options.benchmark(options)
        if options.peak_of_whole:
            rows = with_peak_memory(rows, options.command, options.device)
        _print_and_keep(rows, file)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the program as other errors do: processes that it started end, too, and temporary folders go."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_and_keep(rows: Iterable[Measurement], file: ResultFile | None) -> None:
    for row in rows:
        print(format_measurements([row], NAMES_WIDTH), flush=True)
        if file is not None:
            file.add(row)
    if file is not None:
        file.finish()


if __name__ == "__main__":
    main()
