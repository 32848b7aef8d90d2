"""`python -m twfs`."""

import sys

from twfs.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
