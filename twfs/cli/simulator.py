"""`twfs simulator`: Twilio and S3 on loopback, for tests and trials."""

import argparse
from typing import Any

from twfs.cli.flags import add_verbose_flag
from twfs.cli.output import say
from twfs.cli.paths import a_path
from twfs.cli.signalled import until_signalled
from twfs.cli.simulated import Simulated, simulated_account
from twfs.cli.values import parsed_by
from twfs.invocation import twfs_command
from twfs.option import number

_LARGEST_PORT = 65535


def add_parser(commands: Any) -> None:
    """The command and its flags."""
    parser = commands.add_parser(
        "simulator",
        help="a simulated account on loopback",
        description="Serve a simulated Twilio account and its media on loopback until interrupted.",
    )
    parser.add_argument(
        "--port",
        type=parsed_by(number(int, 0, _LARGEST_PORT)),
        default=0,
        metavar="N",
        help="port to listen at [any free one]",
    )
    parser.add_argument(
        "--media", type=a_path, metavar="DIR", help="your own .mka, .mkv, .mp4 and .webm files [samples]"
    )
    parser.add_argument(
        "--public-key",
        type=a_path,
        metavar="PEM",
        help="RSA public key to encrypt for [a new pair, kept while it runs]",
    )
    add_verbose_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal."""
    with (
        until_signalled() as ending,
        simulated_account(arguments.port, arguments.media, arguments.public_key) as simulated,
    ):
        say(_description(simulated))
        ending.wait()
    return 0


def _description(simulated: Simulated) -> str:
    account = (simulated.source, *simulated.flags)
    return (
        f"api_url      {simulated.simulator.url}\n"
        f"account_sid  {simulated.simulator.account.account_sid}\n"
        f"credentials  {simulated.credentials_file}\n"
        f"config       {simulated.config_file}\n"
        f"Try: {twfs_command('ls', *account, anywhere=True)}\n"
        f"     mkdir twfs-media && {twfs_command('mount', account[0], 'twfs-media', *account[1:], anywhere=True)}\n"
        f"Media come from {simulated.simulator.bucket_url}. Ctrl-C ends it and removes these files."
    )
