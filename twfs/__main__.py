"""`python -m twfs`."""

import sys

from twfs.cli.start import main

if __name__ == "__main__":
    sys.exit(main())
