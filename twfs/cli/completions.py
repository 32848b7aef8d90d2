"""What bash, zsh and fish offer when Tab is pressed, made of the parsers and the option table."""

import shlex
from collections.abc import Iterable, Iterator, Sequence

from twfs.cli.grammar import Command, Flag
from twfs.config.table import OPTIONS, TABLE

_OPTION_NAMES = tuple(option.name if option.is_switch else f"{option.name}=" for option in TABLE)
"""As they stand behind `-o`."""


def bash_completion(commands: Sequence[Command]) -> str:
    """For bash; files are offered wherever nothing else is."""
    patterns = [line for command in commands for line in _bash_patterns(command)]
    return f"""\
_twfs_values() {{
    case ${{1//-/_}} in
{chr(10).join(f"    {option.name}) echo {_words(option.choices)} ;;" for option in TABLE if option.choices)}
    esac
}}
_twfs() {{
    local word=$2 previous=$3 value_of= words= options= at=$COMP_CWORD
    [[ ${{COMP_WORDS[at]}} == : || $previous == : ]] && return
    # Bash breaks words at =, so what stands there may be the value of --NAME=, or of the last one of -o A=B,NAME=.
    if [[ ${{COMP_WORDS[at]}} == = ]]; then
        value_of=${{previous##*,}} word=
    elif [[ $previous == = && $word != *,* ]]; then
        value_of=${{COMP_WORDS[at - 2]##*,}}
    elif [[ $previous == --* ]]; then
        value_of=$previous
    fi
    words=$(_twfs_values "${{value_of#--}}")
    if [[ $words || ($value_of && $value_of != --*) ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
        return
    fi
    while ((at > 1)) && [[ ${{COMP_WORDS[at]}} == = || ${{COMP_WORDS[at - 1]}} == = ]]; do
        ((at--))
    done
    previous=${{COMP_WORDS[at - 1]}}
    if ((COMP_CWORD == 1)); then
        words={_words(command.name for command in commands)}
    else
        case "${{COMP_WORDS[1]}} ${{COMP_WORDS[2]}} " in
{chr(10).join(f"        {line}" for line in patterns)}
        esac
        if [[ $previous == -o && $options ]]; then
            local head=
            [[ $word == *,* ]] && head=${{word%,*}},
            mapfile -t COMPREPLY < <(compgen -P "$head" -W {_words(_OPTION_NAMES)} -- "${{word##*,}}")
            compopt -o nospace
            return
        fi
        [[ $words == -* && $word != -* ]] && return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -o default -F _twfs twfs
"""


def _bash_patterns(command: Command) -> Iterator[str]:
    for action in command.actions:
        yield _bash_pattern(" ".join(action.words), action)
    if command.actions:
        yield f"'{command.name} '*) words={_words(action.name for action in command.actions)} ;;"
    else:
        yield _bash_pattern(command.name, command)


def _bash_pattern(place: str, command: Command) -> str:
    takes_options = any(flag.takes_mount_options for flag in command.flags)
    words = _words(name for flag in command.flags for name in flag.names)
    return f"'{place} '*) words={words}{' options=yes' if takes_options else ''} ;;"


def zsh_completion(commands: Sequence[Command]) -> str:
    """For zsh, as a file of its function path."""
    return f"""\
#compdef twfs
_twfs_options() {{
    _values -s , option {" ".join(shlex.quote(_zsh_value(name)) for name in _OPTION_NAMES)}
}}
_twfs() {{
    if ((CURRENT == 2)); then
        local -a commands=({_zsh_described(commands)})
        _describe command commands
        return
    fi
    shift words
    ((CURRENT--))
    case $words[1] in
{chr(10).join(line for command in commands for line in _zsh_case(command, "        "))}
    esac
}}
_twfs "$@"
"""


def _zsh_case(command: Command, indent: str) -> Iterator[str]:
    yield f"{indent}{command.name})"
    if command.actions:
        yield f"{indent}    if ((CURRENT == 2)); then"
        yield f"{indent}        local -a actions=({_zsh_described(command.actions)})"
        yield f"{indent}        _describe action actions"
        yield f"{indent}        return"
        yield f"{indent}    fi"
        yield f"{indent}    shift words"
        yield f"{indent}    ((CURRENT--))"
        yield f"{indent}    case $words[1] in"
        for action in command.actions:
            yield from _zsh_case(action, indent + "        ")
        yield f"{indent}    esac"
    else:
        specs = [spec for flag in command.flags for spec in _zsh_flag(flag)]
        yield f"{indent}    _arguments -s {' '.join(map(shlex.quote, [*specs, '*:file:_files']))}"
    yield f"{indent}    ;;"


def _zsh_flag(flag: Flag) -> Iterator[str]:
    text = flag.help.translate(str.maketrans("[]:", "()-"))
    for name in flag.names:
        yield f"*{name}[{text}]" + (f":value:{_zsh_action(flag)}" if flag.metavar else "")


def _zsh_action(flag: Flag) -> str:
    if flag.takes_mount_options:
        return "_twfs_options"
    return "_files" if flag.takes_path else f"({' '.join(flag.choices)})" if flag.choices else " "


def _zsh_value(name: str) -> str:
    if not name.endswith("="):
        return name
    choices = " ".join(OPTIONS[name[:-1]].choices)
    return f"{name[:-1]}:value:" + (f"({choices})" if choices else "_files")


def _zsh_described(commands: Iterable[Command]) -> str:
    return " ".join(shlex.quote(f"{command.name}:{command.summary}") for command in commands)


def fish_completion(commands: Sequence[Command]) -> str:
    """For fish."""
    lines = []
    for command in commands:
        lines.append(_fish("__fish_use_subcommand", ["-f", "-a", command.name, "-d", command.summary]))
        inside = f"__fish_seen_subcommand_from {command.name}"
        names = " ".join(action.name for action in command.actions)
        for action in command.actions:
            condition = f"{inside}; and not __fish_seen_subcommand_from {names}"
            lines.append(_fish(condition, ["-f", "-a", action.name, "-d", action.summary]))
            lines += _fish_flags(f"{inside}; and __fish_seen_subcommand_from {action.name}", action)
        lines += _fish_flags(inside, command)
    return "\n".join(lines) + "\n"


def _fish_flags(condition: str, command: Command) -> Iterator[str]:
    for flag in command.flags:
        names = [word for name in flag.names for word in (("-l", name[2:]) if name[:2] == "--" else ("-s", name[1:]))]
        yield _fish(condition, [*names, *_fish_value(flag), "-d", flag.help])


def _fish_value(flag: Flag) -> list[str]:
    if flag.takes_mount_options:
        return ["-x", "-a", f"(__fish_append , {' '.join(_OPTION_NAMES)})"]
    if flag.metavar is None:
        return []
    return ["-r", "-F"] if flag.takes_path else ["-x", *(["-a", " ".join(flag.choices)] if flag.choices else [])]


def _fish(condition: str, words: Iterable[str]) -> str:
    return " ".join(["complete", "-c", "twfs", "-n", *map(_fish_quoted, [condition, *words])])


def _fish_quoted(text: str) -> str:
    """Between single quotes, where fish reads a backslash before a backslash or a quote as an escape."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _words(names: Iterable[str]) -> str:
    return shlex.quote(" ".join(names))
