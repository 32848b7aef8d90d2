"""What bash, zsh and fish offer when Tab is pressed, made of the parsers and the option table."""

import shlex
from collections.abc import Iterable, Iterator, Sequence

from twfs.cli.grammar import Command, Flag
from twfs.cli.help import TOPICS
from twfs.config.table import OPTIONS, TABLE

_OPTION_NAMES = tuple(option.name if option.is_switch else f"{option.name}=" for option in TABLE)
"""As they stand behind `-o`."""


_FISH_SOURCES = """\
# SOURCE by the profiles of the file that --config names on the line.
function __twfs_sources
    set -l words (commandline -opc | string replace -r '^~' $HOME)
    command -q $words[1]; or return
    set -l file (string match -- '--config=*' $words)
    if set -l at (contains -i -- --config $words)
        set file --config $words[(math $at + 1)]
    end
    $words[1] help profiles $file 2>/dev/null | string replace -r '^' twilio:
end"""


def bash_completion(commands: Sequence[Command]) -> str:
    """For bash; files are offered wherever nothing else is."""
    names = [command.name for command in commands]
    patterns = [line for command in commands for line in _bash_patterns(command, names)]
    return f"""\
_twfs_values() {{
    case ${{1//-/_}} in
{chr(10).join(f"    {option.name}) echo {_words(option.choices)} ;;" for option in TABLE if option.choices)}
    esac
}}
# The profiles that may follow twilio:, of the file that --config names on the line, with $2 before them and $3 typed.
_twfs_profiles() {{
    local name at file=()
    for ((at = 2; at < ${{#COMP_WORDS[@]}} - 1; at++)); do
        if [[ ${{COMP_WORDS[at]}} == --config ]]; then
            file=(--config "${{COMP_WORDS[at + 1]/#\\~/$HOME}}")
            [[ ${{file[1]}} != = ]] || file[1]=${{COMP_WORDS[at + 2]/#\\~/$HOME}}
        fi
    done
    while read -r name; do
        [[ $2$name != "$3"* ]] || COMPREPLY+=("$(printf %q "$2$name")")
    done < <("${{1/#\\~/$HOME}}" help profiles "${{file[@]}}" 2>/dev/null)
}}
_twfs() {{
    local word=$2 previous=$3 value_of= words= options= operands= valued= at=$COMP_CWORD
    COMPREPLY=()
    # Bash breaks words at colons.
    if [[ ${{COMP_WORDS[at]}} == : ]]; then
        [[ $previous != twilio ]] || _twfs_profiles "$1" '' ''
        return
    elif [[ $previous == : ]]; then
        [[ ${{COMP_WORDS[at - 2]}} != twilio ]] || _twfs_profiles "$1" '' "$word"
        return
    fi
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
        if [[ $operands && $word != -* && " $valued " != *" $previous "* ]] &&
            [[ $at == "$operands" || ($word && (twilio: == "$word"* || $word == twilio:*)) ]]; then
            _twfs_profiles "$1" twilio: "$word"
            return
        fi
        [[ $words == -* && $word != -* ]] && return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -o default -F _twfs twfs
"""


def _bash_patterns(command: Command, names: Sequence[str]) -> Iterator[str]:
    if command.name == "help":
        yield f"'{command.name} '*) words={_words((*names, *TOPICS))} ;;"
        return
    for action in command.actions:
        yield _bash_pattern(" ".join(action.words), action)
    if command.actions:
        yield f"'{command.name} '*) words={_words(action.name for action in command.actions)} ;;"
    else:
        yield _bash_pattern(command.name, command)


def _bash_pattern(place: str, command: Command) -> str:
    takes_options = any(flag.takes_mount_options for flag in command.flags)
    words = _words(name for flag in command.flags for name in flag.names)
    more = " options=yes" if takes_options else ""
    if command.takes_source:
        # A word behind a flag that takes a value is that value; the first behind the command may be SOURCE.
        more += f" operands={len(command.words) + 1} valued={_words(_valued(command))}"
    return f"'{place} '*) words={words}{more} ;;"


def _valued(command: Command) -> Iterator[str]:
    return (name for flag in command.flags if flag.metavar is not None for name in flag.names)


def zsh_completion(commands: Sequence[Command]) -> str:
    """For zsh, as a file of its function path."""
    return f"""\
#compdef twfs
_twfs_options() {{
    _values -s , option {" ".join(shlex.quote(_zsh_value(name)) for name in _OPTION_NAMES)}
}}
# SOURCE by the profiles of the file that --config names on the line, and files.
_twfs_operands() {{
    local -a file=(${{(M)words:#--config=*}})
    ((${{words[(I)--config]}})) && file=(--config ${{~words[${{words[(I)--config]}} + 1]}})
    local -a sources=(twilio:${{^${{(f)"$($program help profiles $file 2>/dev/null)"}}}})
    compadd -a sources
    _files
}}
_twfs() {{
    local program=${{~${{(Q)words[1]}}}}
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
        operands = "_twfs_operands" if command.takes_source else "_files"
        yield f"{indent}    _arguments -s {' '.join(map(shlex.quote, [*specs, f'*:file:{operands}']))}"
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
    lines = [_FISH_SOURCES]
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
    if command.takes_source:
        yield _fish(condition, ["-a", "(__twfs_sources)", "-d", "profile"])
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
