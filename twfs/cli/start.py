"""What the script `twfs` runs first, and imports next to nothing.

To import the commands takes a third of a second. Python would answer Ctrl-C meanwhile by the traceback of an import.
"""

import signal


def main() -> int:
    """Run the command line; the exit code. A SIGINT that comes before it has begun ends the process without a word."""
    handler = signal.getsignal(signal.SIGINT)
    # Left alone where the caller has it ignored, as a shell does for what it runs in the background.
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from twfs.cli.main import main as run  # noqa: PLC0415 - what this is about

    signal.signal(signal.SIGINT, handler)
    return run()
