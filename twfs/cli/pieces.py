"""What an installation consists of: each file with its place, its content and its mode."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version
from pathlib import PurePath

from twfs.cli.completions import bash_completion, fish_completion, zsh_completion
from twfs.cli.grammar import Command
from twfs.cli.manual import manual_page
from twfs.invocation import wrapper_flag

HELPERS = ("mount.twfs", "mount.fuse.twfs")
SERVICE = "twfs@.service"
EXAMPLES = ("srv-recordings.automount", "srv-recordings.mount")
KEY_FOLDER = PurePath("etc/twfs/keys")
_PROGRAM = "/usr/bin/twfs"
"""As the units name it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Whose installation it is: places below the prefix, and the Python that runs twfs."""

    python: str
    sbin: PurePath
    share: PurePath
    units: PurePath
    mark: str
    """A sentence that stands in each file, by which it is known again."""
    is_package: bool = False


def local_layout() -> Layout:
    """What an administrator installs, for the Python that runs now; all tools look into /usr/local too."""
    mark = "Written by `twfs install`; `twfs install --uninstall` takes it away."
    share, units = PurePath("usr/local/share"), PurePath("usr/local/lib/systemd/system")
    return Layout(sys.executable, PurePath("sbin"), share, units, mark)


def package_layout(environment: PurePath) -> Layout:
    """What a distribution's package holds, for the virtual environment that the package has at `environment`."""
    python = str(environment / "bin/python3")
    mark = "Part of the package twfs."
    share, units = PurePath("usr/share"), PurePath("usr/lib/systemd/system")
    return Layout(python, PurePath("usr/sbin"), share, units, mark, is_package=True)


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of an installation."""

    path: PurePath
    """Relative to the prefix."""
    content: str
    mode: int = 0o644
    mark: str | None = None
    """None: once written it is the administrator's."""


def pieces(layout: Layout, commands: Sequence[Command]) -> Iterator[Piece]:
    """All files of an installation."""
    share = layout.share
    yield from _programs(layout)
    yield _marked(layout, layout.units / SERVICE, _unit(SERVICE, layout))
    yield _marked(layout, share / "man/man1/twfs.1", manual_page(commands, version("twfs")), comment='.\\"')
    yield _marked(layout, share / "bash-completion/completions/twfs", bash_completion(commands))
    yield _marked(layout, share / "zsh/site-functions/_twfs", zsh_completion(commands))
    yield _marked(layout, share / "fish/vendor_completions.d/twfs.fish", fish_completion(commands))
    if layout.is_package:
        for name in EXAMPLES:
            yield _marked(layout, share / "doc/twfs/examples" / name, _unit(name, layout))
    yield Piece(PurePath("etc/twfs/config.toml"), _shipped("etc/config.toml"))
    yield Piece(PurePath("etc/twfs/credentials"), _shipped("etc/credentials"), 0o600)


def _programs(layout: Layout) -> Iterator[Piece]:
    """Shell scripts that run that very Python.

    `-I` keeps the working directory and the caller's environment out of what root runs.
    """
    modules = {layout.sbin / name: "twfs.cli.helper" for name in HELPERS}
    # That of the package has no twfs beside it, so it is told what to call itself in what users paste.
    flags = f"-I -X {wrapper_flag(_PROGRAM)}" if layout.is_package else "-I"
    if layout.is_package:
        modules[PurePath(_PROGRAM.lstrip("/"))] = "twfs"
    for path, module in modules.items():
        script = f'#!/bin/sh\nexec {shlex.quote(layout.python)} {flags} -m {module} "$@"\n'
        yield _marked(layout, path, script, mode=0o755)


def _unit(name: str, layout: Layout) -> str:
    text = _shipped(f"units/{name}")
    return text if layout.is_package else text.replace(_PROGRAM, f"{shlex.quote(layout.python)} -I -m twfs")


def _shipped(name: str) -> str:
    return resources.files("twfs.cli").joinpath(name).read_text(encoding="utf-8")


def _marked(layout: Layout, path: PurePath, text: str, *, comment: str = "#", mode: int = 0o644) -> Piece:
    """The file with its mark, which goes below a first line that says how the rest is read."""
    mark = f"{comment} {layout.mark}\n"
    first, end, rest = text.partition("\n")
    content = f"{first}{end}{mark}{rest}" if first.startswith(("#!", "#compdef")) else mark + text
    return Piece(path, content, mode, layout.mark)
