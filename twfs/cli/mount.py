"""`twfs mount`."""

import argparse
import os
from pathlib import Path
from typing import Any

from twfs.cli.flags import account_words, add_option_flags, add_verbose_flag, overrides_of
from twfs.cli.logging import set_up_logging
from twfs.cli.paths import a_path
from twfs.cli.progress import listing_shown
from twfs.config.accounts import tell_of_credentials
from twfs.config.config import Config
from twfs.config.keys import tell_what_was_passed_over
from twfs.config.load import load_config
from twfs.config.profiles import is_source
from twfs.mount.hardening import environment


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser("mount", help="mount an account's media", description="Mount an account's media.")
    parser.add_argument(
        "source",
        metavar="SOURCE",
        nargs="?",
        default="twilio:",
        help="twilio:AC..., twilio:PROFILE, or twilio: for the default [twilio:]",
    )
    parser.add_argument("directory", metavar="DIR", type=_a_folder, help="where to")
    parser.add_argument("-f", "--foreground", action="store_true", help="stay in the foreground until it is unmounted")
    add_verbose_flag(parser)
    parser.add_argument("-s", "--sloppy", action="store_true", help="ignore unknown options of -o")
    add_option_flags(parser, ("config", "credentials", "private_key", "cache_size", "allow_other"))
    parser.set_defaults(run=run)


def _a_folder(text: str) -> Path:
    """Alone, a SOURCE stands where DIR does.

    Raises:
        ArgumentTypeError: it is one, or empty.
    """
    if is_source(text):
        raise argparse.ArgumentTypeError(f"{text!r} is a source; say where to mount it, too")
    return a_path(text)


def run(arguments: argparse.Namespace) -> int:
    """Mount; returns when it stands, or in the foreground when it has ended."""
    overrides = overrides_of(arguments, sloppy=arguments.sloppy)
    config = configured(arguments.source, overrides, verbose=arguments.verbose)
    # Here, for other commands need `configured` only, and not what a mount is made of.
    from twfs.mount.lifecycle import mount  # noqa: PLC0415
    from twfs.transfer.mounted_proof import MountedProver  # noqa: PLC0415

    mount(
        config,
        arguments.source,
        arguments.directory,
        account_words(arguments.source, overrides),
        foreground=arguments.foreground,
        prover_of=MountedProver,
        listing=listing_shown,
    )
    return 0


def configured(source: str, overrides: dict[str, str], *, verbose: bool) -> Config:
    """The configuration, with the log set up as it says; `verbose` lowers the level unless one is given.

    Raises:
        ConfigError: something cannot be used.
    """
    if verbose:
        overrides = {"log_level": "debug", **overrides}
    config = load_config(source, overrides, environment())
    set_up_logging(config.log_level, config.log_format, os.environ)
    tell_of_credentials(config.credentials)
    tell_what_was_passed_over(config.keyring)
    return config
