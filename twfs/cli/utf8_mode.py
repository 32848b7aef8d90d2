"""Paths are bytes: whatever the locale says, each is read and written by one rule.

Names inside a mount, configuration files and what libfuse is told are UTF-8. Under a locale that is not, Python reads
the command line, folders and /proc by another rule, so that a path of the one kind is none of the other. In Python's
UTF-8 mode (PEP 540) there is one rule for all, and bytes that are no UTF-8 come back as they were.
"""

import codecs
import locale
import os
import sys

_UTF8 = "utf-8"


def ensure_utf8_mode() -> None:
    """Begin this process anew in UTF-8 mode, unless paths are UTF-8 in it already: the mode cannot be changed later.

    What is shown and typed stays in the locale's encoding, which is the terminal's.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name != _UTF8 and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - itself
    if sys.flags.utf8_mode:
        _speak_as_the_terminal()


def _speak_as_the_terminal() -> None:
    encoding = codecs.lookup(locale.getencoding()).name
    # That of the C locale says nothing of the terminal; there Python takes UTF-8.
    if encoding in (_UTF8, "ascii"):
        return
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(encoding=encoding)  # type: ignore[union-attr]
