"""`twfs doctor`: what stands in the way of a mount here, one line each, with the mend."""

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, cast
from urllib.parse import urlsplit

from twfs.cli.doctor_account import account_findings
from twfs.cli.doctor_machine import Machine, Wanted, machine_findings
from twfs.cli.doctor_options import option_findings
from twfs.cli.doctor_trust import trust_findings
from twfs.cli.finding import OK, PROBLEM, WARNING, Finding
from twfs.cli.flags import add_option_flags, add_verbose_flag, overrides_of
from twfs.cli.output import one_line, say
from twfs.cli.pieces import KEY_FOLDER
from twfs.cli.tables import GAP, in_colour, is_terminal, new_table, show, wrapped
from twfs.config.accounts import NoCredentials
from twfs.config.config import Config
from twfs.config.load import load_config
from twfs.config.table import OPTIONS
from twfs.errors import ConfigError
from twfs.fuse.binding import Choice
from twfs.invocation import twfs_command
from twfs.mount.hardening import environment

_LEVEL_WIDTH = len(WARNING)
_CREDENTIALS_OF_SERVICE = "/etc/twfs/credentials"


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "doctor",
        help="what stands in the way of a mount",
        description="Check this machine and the configuration; with SOURCE also ask Twilio, and S3 for the ends of a "
        "few media. Exit 1 on a problem.",
    )
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="as for mount")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    add_verbose_flag(parser)
    add_option_flags(parser, ("config", "credentials", "private_key"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Report; 1 if there is a problem."""
    findings = _all_findings(arguments.source, overrides_of(arguments))
    report = _report_json if arguments.json else _report_lines
    return 1 if report(findings)[PROBLEM] else 0


def _all_findings(source: str | None, overrides: dict[str, str]) -> Iterator[Finding]:
    config, of_config = _configured(source, overrides)
    yield from machine_findings(Machine(is_root=os.geteuid() == 0), _wanted(config))
    yield from trust_findings(urlsplit(config.api_url if config else OPTIONS["api_url"].default).hostname or "")
    yield of_config
    if config is not None:
        yield from option_findings(config)
        yield from account_findings(config, ask=source is not None)


def _wanted(config: Config | None) -> Wanted:
    """What a mount with this configuration wants of the machine; without one, what it wants by default."""
    if config is None:
        return Wanted(OPTIONS["timeout"].default)
    return Wanted(config.timeout, cast(Choice, config.fuse), config.allow_other or config.allow_root)


def _configured(source: str | None, overrides: dict[str, str]) -> tuple[Config | None, Finding]:
    try:
        config = load_config(source or "twilio:", overrides, environment())
    except NoCredentials as error:
        level = PROBLEM if source else WARNING
        return None, Finding(level, "configuration", f"configuration: {error}", _as_the_service(source))
    except ConfigError as error:
        return None, Finding(PROBLEM, "configuration", f"configuration: {error}")
    return config, Finding(OK, "configuration", f"configuration: {_who(config)}")


def _who(config: Config) -> str:
    chosen = config.credentials
    others = "".join(f"; passed over: {other}" for other in chosen.passed_over)
    return f"account {config.account_sid}, credentials of {chosen.user} from {chosen.origin}{others}"


def _as_the_service(source: str | None) -> str:
    """How to look at an account whose credentials and keys only the unit names, by `LoadCredential=`."""
    if source is None or not os.access(_CREDENTIALS_OF_SERVICE, os.R_OK):
        return ""
    files = f"credentials={_CREDENTIALS_OF_SERVICE},private_key=/{KEY_FOLDER}"
    return f"as twfs@.service has it, run: {twfs_command('doctor', source, '-o', files)}"


def _report_lines(findings: Iterable[Finding]) -> Counter[str]:
    """Each at once, for some take seconds; how many there are of each level."""
    levels: Counter[str] = Counter()
    for finding in findings:
        _show(finding)
        levels[finding.level] += 1
    counts = [f"{levels[level]} {level}{'s' * (levels[level] > 1)}" for level in (PROBLEM, WARNING) if levels[level]]
    say(", ".join(counts) or "all is well")
    return levels


def _show(finding: Finding) -> None:
    """One line; on a terminal, what is too long goes on below its text, and the mend has a line of its own.

    That one is never broken: it is to be pasted.
    """
    if not is_terminal():
        say(one_line(finding.line))
        return
    table = new_table(shows_headings=False)
    table.add_column(width=_LEVEL_WIDTH)
    table.add_column()
    table.add_row(in_colour(finding.level), wrapped(one_line(finding.text)))
    show(table)
    if finding.mend:
        say(" " * (_LEVEL_WIDTH + GAP) + one_line(finding.mend))


def _report_json(findings: Iterable[Finding]) -> Counter[str]:
    found = list(findings)
    levels = Counter(finding.level for finding in found)
    counts = {"problems": levels[PROBLEM], "warnings": levels[WARNING]}
    say(json.dumps({**counts, "findings": [finding.as_json() for finding in found]}, indent=2))
    return levels
