"""`python -m tests.soak`: ten minutes of bad weather."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.soak.soak import Plan, soak


def main() -> int:
    """0 if every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=Plan().seconds, help="how long the readers read [%(default)g]")
    parser.add_argument("--readers", type=int, default=Plan().readers, help="how many [%(default)s]")
    parser.add_argument("--media", type=int, default=Plan().media, help="how many [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="another number, other media and reads [%(default)s]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="twfs-soak-") as folder:
        outcome = soak(
            Plan(options.seconds, Plan().timeout, options.readers, options.media, options.seed), Path(folder)
        )
    sys.stdout.write(outcome.report())
    return int(bool(outcome.problems))


if __name__ == "__main__":
    sys.exit(main())
