"""The command line as data, read off the parsers: what the manual page and the completions are made of."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from twfs.cli.flags import SHARED, flag_of
from twfs.config.table import TABLE

_TABLE_FLAGS = {flag_of(option.name): option for option in TABLE}


@dataclass(frozen=True, slots=True)
class Flag:
    """`-f, --foreground`, or `--name NAME`."""

    names: tuple[str, ...]
    metavar: str | None
    """What stands for its value; None if it takes none."""
    help: str
    choices: tuple[str, ...]
    is_required: bool
    is_shared: bool
    """Whether it is one of those of all commands, which `twfs help options` explains."""

    @property
    def is_of_table(self) -> bool:
        """Whether it is an option of the table, which every command that reads the configuration has."""
        return not _TABLE_FLAGS.keys().isdisjoint(self.names)

    @property
    def takes_mount_options(self) -> bool:
        """Whether its value is a list of options, as of mount(8)'s `-o`."""
        return self.metavar == "OPT[,OPT...]"

    @property
    def takes_path(self) -> bool:
        """Whether its value is a path."""
        return self.metavar is not None and not {"FILE", "DIR", "PATH", "PEM"}.isdisjoint(self.metavar.split("|"))


@dataclass(frozen=True, slots=True)
class Operand:
    """`SOURCE`, `[SOURCE]` or `SID ...`."""

    usage: str
    help: str

    def __str__(self) -> str:
        """As a usage line shows it."""
        return self.usage


@dataclass(frozen=True, slots=True)
class Command:
    """`twfs mount`, or `twfs public-key create`."""

    words: tuple[str, ...]
    """Without `twfs`."""
    summary: str
    """A few words, without a full stop; empty if its parent has none for it."""
    description: str
    operands: tuple[Operand, ...]
    flags: tuple[Flag, ...]
    actions: tuple["Command", ...]

    @property
    def takes_source(self) -> bool:
        """Whether SOURCE may be its first operand."""
        return bool(self.operands) and "SOURCE" in self.operands[0].usage

    @property
    def name(self) -> str:
        """Its last word."""
        return self.words[-1]

    def leaves(self) -> Iterator["Command"]:
        """Itself, or its actions if it has some."""
        if not self.actions:
            yield self
        for action in self.actions:
            yield from action.leaves()


def commands_of(parsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> tuple[Command, ...]:
    """All commands of what `add_subparsers` returned, with their actions, in their order."""
    return _commands(parsers, ())


def command_of(parser: argparse.ArgumentParser) -> Command:
    """The command of one parser, whose name is behind `twfs`."""
    return _command(parser, tuple(parser.prog.split()[1:]), "")


def flag_names(parser: argparse.ArgumentParser) -> list[str]:
    """All long flags that a parser tells of."""
    known = [action for action in parser._actions if action.help != argparse.SUPPRESS]  # noqa: SLF001
    return [name for action in known for name in action.option_strings if name.startswith("--")]


def _commands(
    parsers: "argparse._SubParsersAction[argparse.ArgumentParser]", above: tuple[str, ...]
) -> tuple[Command, ...]:
    choices: Mapping[str, argparse.ArgumentParser] = parsers.choices
    # argparse has no public list of what its help shows; here and in `_command` only it is looked into.
    summaries = {choice.dest: choice.help or "" for choice in parsers._choices_actions}  # noqa: SLF001
    return tuple(_command(parser, (*above, name), summaries.get(name, "")) for name, parser in choices.items())


def _command(parser: argparse.ArgumentParser, words: tuple[str, ...], summary: str) -> Command:
    operands: list[Operand] = []
    flags: list[Flag] = []
    actions: list[Command] = []
    shared = _shared(parser)
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            actions += _commands(action, words)
        elif action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction):  # noqa: SLF001
            continue
        elif action.option_strings:
            flags.append(_flag(action, is_shared=action in shared))
        else:
            operands.append(Operand(_operand(action), _text(action)))
    return Command(words, summary, parser.description or "", tuple(operands), tuple(flags), tuple(actions))


def _shared(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    groups = [group for group in parser._action_groups if group.title == SHARED]  # noqa: SLF001
    return [action for group in groups for action in group._group_actions]  # noqa: SLF001


def _flag(action: argparse.Action, *, is_shared: bool) -> Flag:
    takes_value = action.nargs != 0
    metavar = (action.metavar or action.dest.upper()) if takes_value else None
    names = tuple(action.option_strings)
    choices = next((_TABLE_FLAGS[name].choices for name in names if name in _TABLE_FLAGS), ())
    shown = metavar if isinstance(metavar, str) else None
    return Flag(names, shown, _text(action), choices, action.required, is_shared)


def _text(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")


def _operand(action: argparse.Action) -> str:
    name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if action.nargs in ("?", "*"):
        return f"[{name}]" if action.nargs == "?" else f"[{name} ...]"
    return f"{name} ..." if action.nargs == "+" else name
