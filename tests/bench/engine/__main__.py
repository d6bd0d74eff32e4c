"""`python -m tests.bench.engine [daily|minutes|scaling ...]`: the engine's benchmarks alone; all of them by default.

BENCH_FOLDER      a folder to build bundles in and to use them again from; by default one that is removed at the end
BENCH_SMALL=1     try everything out in a minute; the figures mean nothing
BENCH_ZIPLINE_PYTHON  an interpreter with zipline-reloaded 3.2; by default .venv-oracle's, which `make oracle` makes
"""

from __future__ import annotations

import argparse

from tests.bench.engine.folder import work_folder
from tests.bench.engine.parts import PARTS, measure
from tests.bench.table import print_table


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}; all by default")
    parts = parser.parse_args().parts
    unknown = set(parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}: {', '.join(PARTS)}")
    with work_folder() as folder:
        print_table(*measure(folder, parts or PARTS))


if __name__ == "__main__":
    main()
