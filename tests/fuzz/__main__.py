"""`python -m tests.fuzz --examples 1000000`: that many inputs, shared by all parsers."""

import argparse
import sys
import time

from tests.fuzz.run import fuzz
from tests.fuzz.targets import TARGETS


def main() -> int:
    """1 if something but the documented errors came out of a parser."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=1_000_000, help="inputs in all [%(default)s]")
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this parser; may be given again")
    parser.add_argument("--seed", type=int, help="of the inputs; else the time")
    options = parser.parse_args()
    names = options.target or list(TARGETS)
    first_seed = int(time.time()) if options.seed is None else options.seed
    failed = False
    for name in names:
        began, count = time.monotonic(), max(1, options.examples // len(names))
        try:
            fuzz(name, count, first_seed)
        except Exception as error:  # noqa: BLE001 - whatever comes out is the find
            failed = True
            notes = "\n".join(getattr(error, "__notes__", []))
            sys.stdout.write(f"{name}: {type(error).__name__}: {error}\n{notes}\n")
        seconds = time.monotonic() - began
        sys.stdout.write(f"{name}: {count} inputs, seed {first_seed}, {seconds:.0f} s\n")
        sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
