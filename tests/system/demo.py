"""What the tests of this folder know of the simulated account `demo` and of its unit."""

from hashlib import sha256

from tests.system.machine import Machine
from twfs.simulator.samples import sample_bytes

UNIT = "twfs@demo"
DIR = "/srv/twfs/demo"
OPTIONS = "credentials=/etc/twfs/credentials,private_key=/etc/twfs/keys"
"""As root needs them where no unit has loaded them."""

ENCRYPTED = "RT35d219543f18ec3769947060cd704438.mka"
ENCRYPTED_SAMPLE = "voice-opus.mka"
NOBODYS = "RTe6f97ec02eb0cfdc6501ac4ab8826ab8.mkv"
"""Encrypted for a key that nobody has."""


def sid_of(name: str) -> str:
    """The SID that a file is named after."""
    return name.partition(".")[0]


def reads(folder: str) -> str:
    """A command that succeeds if an encrypted medium can be read there and is what it should be."""
    digest = sha256(sample_bytes(ENCRYPTED_SAMPLE)).hexdigest()
    return f"echo '{digest}  {folder}/recordings/{ENCRYPTED}' | sha256sum --check"


def is_mounted(machine: Machine, folder: str = "") -> bool:
    return machine.run(f"findmnt --noheadings --types fuse.twfs {folder}", check=False) != ""
