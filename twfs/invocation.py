"""Commands to show to users, so that they can be pasted: twfs as it was called, and pip for the Python that runs it."""

import os
import shlex
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path, PurePath

_NAME = "twfs"
_X_OPTION = "twfs"
"""`python -X twfs=PATH`: what a shell script that runs Python (`twfs install --package`) is called itself."""


def twfs_command(*words: str | Path, anywhere: bool = False) -> str:
    """`twfs WORDS`, quoted for a shell, with the path by which twfs was called.

    Args:
        words: the command, its flags and operands.
        anywhere: it is for another terminal, where a relative path would start in another folder.
    """
    program = program_words()
    if anywhere and not Path(program[0]).is_absolute() and "/" in program[0]:
        program = (os.path.abspath(program[0]), *program[1:])  # noqa: PTH100 - resolve() would follow links
    return pasteable(*program, *words)


def pasteable(*words: str | PurePath) -> str:
    """Any command, quoted for a shell, in printable characters only."""
    return " ".join(_quoted(str(word)) for word in words)


def _quoted(word: str) -> str:
    r"""What a message would not show as it is, such as a line end or a byte that is no UTF-8, as `$'\NNN'`.

    Octal, for behind `\x` shells take different numbers of digits.
    """
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(_in_dollar_quotes(character) for character in word) + "'"


def _in_dollar_quotes(character: str) -> str:
    if character in "'\\":
        return f"\\{character}"
    return character if character.isprintable() else "".join(f"\\{byte:03o}" for byte in os.fsencode(character))


def program_words() -> tuple[str, ...]:
    """What runs twfs: the script that was called, `python -m twfs` if that was called, else what runs the same twfs."""
    wrapper = sys._xoptions.get(_X_OPTION)  # noqa: SLF001 - documented, in spite of its name
    if isinstance(wrapper, str):
        return (wrapper,)
    called = sys.argv[0] if sys.argv else ""
    if Path(called) == Path(__file__).with_name("__main__.py"):
        # All that stood before the arguments: `python3 -I -m twfs`.
        return tuple(sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1])
    if _is_script_of_ours(called):
        return (called,)
    beside = str(Path(sys.executable).with_name(_NAME))
    return (beside,) if _is_script_of_ours(beside) else (sys.executable, "-m", _NAME)


def wrapper_flag(path: str) -> str:
    """The argument of Python's `-X` by which it knows the script that runs it."""
    return f"{_X_OPTION}={path}"


def pip_remedy(*packages: str) -> str:
    """What to do to have these packages of PyPI in the Python that runs now: `run: /opt/twfs/bin/python -m pip ...`."""
    if _is_managed():
        new = Path("~/.local/share/twfs")
        return (
            f"pip may not install into {sys.executable}, which belongs to the system, so make a virtual environment; "
            f"run: {shlex.join([sys.executable, '-m', 'venv', '--system-site-packages'])} {new} && "
            f"{new}/bin/pip install {shlex.join(packages)}, then call twfs as {new}/bin/python -m twfs"
        )
    who = "run as root" if _is_closed_environment() else "run"
    if find_spec("pip") is not None:
        return f"{who}: {shlex.join([sys.executable, '-m', 'pip', 'install', *packages])}"
    # Of a virtual environment without pip another Python's takes care (pip 22.3, Debian 12 has 23.0).
    command = shlex.join(["python3", "-m", "pip", "--python", sys.executable, "install", *packages])
    return f"{who}: {command} (pip is the Debian package python3-pip)"


def _is_script_of_ours(called: str) -> bool:
    """Whether a shell runs twfs by this name, which may be a link's; one without a folder is looked for elsewhere."""
    path = Path(called)
    is_ours = _NAME in (path.name, path.resolve().name)
    return is_ours and "/" in called and path.is_file() and os.access(path, os.X_OK)


def _is_managed() -> bool:
    """Whether pip refuses to install here (PEP 668)."""
    scheme = sysconfig.get_default_scheme()
    return sys.prefix == sys.base_prefix and Path(sysconfig.get_path("stdlib", scheme), "EXTERNALLY-MANAGED").exists()


def _is_closed_environment() -> bool:
    """Whether this is a virtual environment that only somebody else may change; outside of one pip finds a place."""
    return sys.prefix != sys.base_prefix and not os.access(sysconfig.get_path("purelib"), os.W_OK)
