"""The shells themselves are asked what they offer; one that is not installed is passed over."""

import argparse
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.cli.running import SECONDS
from tests.cli.terminal import Terminal
from twfs.cli.completions import bash_completion, fish_completion, zsh_completion
from twfs.cli.grammar import Command, commands_of
from twfs.cli.main import add_commands
from twfs.cli.outcome import Parser
from twfs.config.table import TABLE

SCRIPT = Path(sys.executable).with_name("twfs")
"""As users call it, by its path."""

needs_fish = pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
needs_zsh = pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")


@pytest.fixture(scope="module")
def commands() -> tuple[Command, ...]:
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser] = Parser().add_subparsers(parser_class=Parser)
    add_commands(subparsers)
    return commands_of(subparsers)


def run(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=cwd
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def bash(tmp_path: Path, commands: Sequence[Command]) -> Callable[..., list[str]]:
    """What bash offers for the last of the words."""
    script = tmp_path / "twfs.bash"
    script.write_text(bash_completion(commands))

    def offered(*words: str) -> list[str]:
        line = f"""
            compopt() {{ :; }}
            source {script}
            COMP_WORDS=(twfs {shlex.join(words)}) COMP_CWORD={len(words)}
            _twfs {SCRIPT} {shlex.quote(words[-1])} {shlex.quote(words[-2] if len(words) > 1 else "twfs")}
            printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        return [word for word in run("bash", "--norc", "-euc", line, cwd=tmp_path).splitlines() if word]

    return offered


def test_bash_commands(bash: Callable[..., list[str]], commands: Sequence[Command]) -> None:
    assert bash("") == [command.name for command in commands]
    assert bash("mo") == ["mount"]
    assert bash("public-key", "") == ["create", "list", "delete"]
    assert bash("public-key", "de") == ["delete"]


def test_bash_flags_are_those_of_the_command(bash: Callable[..., list[str]]) -> None:
    assert bash("mount", "twilio:", "--cache") == ["--cache-size"]
    assert bash("umount", "--") == ["--lazy", "--verbose"]
    assert bash("public-key", "create", "--na") == ["--name"]
    assert bash("public-key", "list", "--na") == []


def test_bash_leaves_files_to_readline(bash: Callable[..., list[str]]) -> None:
    assert bash("umount", "") == []
    assert bash("mount", "twilio:", "") == []


def test_bash_options_of_a_list(bash: Callable[..., list[str]]) -> None:
    names = [option.name if option.is_switch else f"{option.name}=" for option in TABLE]
    assert bash("mount", "twilio:", "-o", "") == names
    assert bash("mount", "twilio:", "-o", "allow_other,cache_s") == ["allow_other,cache_size="]
    assert bash("get", "-o", "cache_s") == []


@pytest.fixture
def typed(tmp_path: Path, commands: Sequence[Command]) -> Iterator[Callable[[str], str]]:
    """What a line has become after Tab, in a bash that somebody uses."""
    script = tmp_path / "twfs.bash"
    script.write_text(f"{bash_completion(commands)}PS1=; bind 'set enable-bracketed-paste off'; echo rea''dy\n")
    (tmp_path / "file").touch()
    terminal = Terminal("env", "-C", tmp_path, "INPUTRC=/dev/null", "bash", "--norc", "--noprofile", "-i")

    def typed(line: str) -> str:
        # What stands on the line is printed, for the screen shows how it came to be.
        terminal.press(f"{line}\t\x01printf '<%s>\\n' '\x05'\r")
        terminal.shown = b""
        terminal.wait_for(b">\r\n")
        return terminal.shown.rpartition(b"<")[2].partition(b">")[0].decode()

    try:
        terminal.press(f"source {script}\r")
        terminal.wait_for(b"ready\r\n")
        yield typed
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("twfs mou", "twfs mount "),
        ("twfs mount -o cache_size=1G,refr", "twfs mount -o cache_size=1G,refresh="),
        ("twfs mount -o kind=comp", "twfs mount -o kind=compositions "),
        ("twfs mount -o timeout=9,kind=comp", "twfs mount -o timeout=9,kind=compositions "),
        ("twfs mount -o timeout=9,config=fi", "twfs mount -o timeout=9,config=file "),
        ("twfs ls --kind comp", "twfs ls --kind compositions "),
        ("twfs ls --kind=comp", "twfs ls --kind=compositions "),
        ("twfs ls --config fi", "twfs ls --config file "),
        ("twfs ls --config=fi", "twfs ls --config=file "),
        ("twfs ls twilio:x --lim", "twfs ls twilio:x --lim"),
        ("twfs umount fi", "twfs umount file "),
        ("twfs ls --json --prob", "twfs ls --json --probe "),
    ],
)
def test_bash_as_somebody_uses_it(typed: Callable[[str], str], line: str, completed: str) -> None:
    assert typed(line) == completed


@pytest.fixture
def profiles(home: Path, tmp_path: Path) -> Path:
    """A home with profiles, and another file of them."""
    (home / ".config/twfs").mkdir(parents=True)
    (home / ".config/twfs/config.toml").write_text("[profiles.clinic]\n[profiles.ward-1]\n[profiles.ward-2]\n")
    (tmp_path / "other.toml").write_text("[profiles.elsewhere]\n")
    return home


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("ls twilio:cl", "ls twilio:clinic "),
        ("ls twilio:w", "ls twilio:ward-"),
        ("ls twilio:nobody", "ls twilio:nobody"),
        ("ls --json twilio:cl", "ls --json twilio:clinic "),
        ("mount -o ro twilio:cl", "mount -o ro twilio:clinic "),
        ("public-key list twilio:cl", "public-key list twilio:clinic "),
        ("get twi", "get twilio:"),
        ("ls --json twi", "ls --json twilio:"),
        ("ls --config other.toml twilio:", "ls --config other.toml twilio:elsewhere "),
        ("ls --config=other.toml twilio:", "ls --config=other.toml twilio:elsewhere "),
        ("ls --config=other.toml ", "ls --config=other.toml "),
        ("ls --config oth", "ls --config other.toml "),
        ("rm ", "rm twilio:"),
        ("umount fi", "umount file "),
        ("mount fi", "mount file "),
        ("help opt", "help options "),
        ("help pub", "help public-key "),
    ],
)
@pytest.mark.usefixtures("profiles")
def test_bash_offers_profiles(typed: Callable[[str], str], line: str, completed: str) -> None:
    assert typed(f"{SCRIPT} {line}") == f"{SCRIPT} {completed}"


@pytest.mark.usefixtures("profiles")
def test_bash_offers_profiles_where_words_do_not_break_at_colons(bash: Callable[..., list[str]]) -> None:
    assert bash("ls", "twilio:cl") == ["twilio:clinic"]
    assert bash("ls", "--json", "twilio:w") == ["twilio:ward-1", "twilio:ward-2"]
    assert bash("ls", "--timeout", "tw") == []


@needs_fish
@pytest.mark.usefixtures("profiles")
def test_fish_offers_profiles(tmp_path: Path, commands: Sequence[Command]) -> None:
    script = tmp_path / "twfs.fish"
    script.write_text(fish_completion(commands))

    def offered(line: str) -> list[str]:
        command = shlex.quote(f"{SCRIPT} {line}")
        text = run("fish", "--no-config", "-c", f"source {script}; complete -C {command}", cwd=tmp_path)
        return [word.split("\t")[0] for word in text.splitlines()]

    assert offered("ls twilio:w") == ["twilio:ward-1", "twilio:ward-2"]
    assert offered("public-key list twilio:cl") == ["twilio:clinic"]
    for line in ("ls --config other.toml twilio:", "ls --config=other.toml twilio:"):
        assert "twilio:elsewhere" in offered(line)
        assert "twilio:clinic" not in offered(line)
    assert offered("umount twilio:cl") == []


@needs_fish
def test_fish(tmp_path: Path, commands: Sequence[Command]) -> None:
    script = tmp_path / "twfs.fish"
    script.write_text(fish_completion(commands))

    def offered(line: str) -> list[str]:
        text = run("fish", "--no-config", "-c", f"source {script}; complete -C {shlex.quote(line)}", cwd=tmp_path)
        return [word.split("\t")[0] for word in text.splitlines()]

    assert set(offered("twfs ")) == {command.name for command in commands}
    assert offered("twfs mo") == ["mount"]
    assert set(offered("twfs public-key ")) == {"create", "list", "delete"}
    assert offered("twfs mount --cache-s") == ["--cache-size"]
    assert offered("twfs public-key create --na") == ["--name"]
    assert offered("twfs public-key list --na") == []
    assert set(offered("twfs ls --kind ")) == {"all", "recordings", "compositions"}
    assert "allow_other,cache_size=" in offered("twfs mount twilio: /mnt -o allow_other,cache_s")


ZSH = """
zmodload zsh/zpty
zpty twfs zsh -f -i
expect() { zpty -r -m twfs seen "*$1*" && print -r -- "$seen" }
zpty -w twfs "PS1=; setopt no_list_beep; stty cols 200; fpath=(%(folder)s \\$fpath); autoload -U compinit"
zpty -w twfs "compinit -D -u; print rea''dy"
expect ready >/dev/null
zpty -w -n twfs %(line)s$'\\t'
expect %(expected)s
zpty -d twfs
"""


@needs_zsh
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("twfs publ", "twfs public-key"),
        ("twfs mount --cache-s", "--cache-size"),
        ("twfs public-key cr", "public-key create"),
        ("twfs mount -o allow_other,cache_s", "allow_other,cache_size="),
        ("twfs mount -o timeout=9,kind=comp", "kind=compositions"),
        ("twfs ls --kind comp", "--kind compositions"),
        (f"{SCRIPT} ls twilio:cl", "twilio:clinic"),
        (f"{SCRIPT} public-key list twilio:cl", "twilio:clinic"),
        (f"{SCRIPT} ls --json --config other.toml twilio:", "twilio:elsewhere"),
        (f"{SCRIPT} ls --json --config=other.toml twilio:", "twilio:elsewhere"),
    ],
)
@pytest.mark.usefixtures("profiles")
def test_zsh(tmp_path: Path, commands: Sequence[Command], line: str, expected: str) -> None:
    (tmp_path / "_twfs").write_text(zsh_completion(commands))
    words = {"folder": tmp_path, "line": shlex.quote(line), "expected": shlex.quote(expected)}
    assert expected in run("zsh", "-f", "-c", ZSH % words, cwd=tmp_path)
