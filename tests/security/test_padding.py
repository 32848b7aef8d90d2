"""Nobody who can alter an object learns from twfs's answers what its padding is."""

import errno
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.crypto.keys import keyring
from tests.crypto.sealed import IV, SealedObject, encrypt_blocks
from tests.crypto.sealed import seal as sealed_for_key_0
from tests.mount.harness import customer, mounted, needs_fuse, run_twfs
from twfs.crypto.unlock import Unlocker
from twfs.errors import MediaDamaged, TwfsError
from twfs.resources import Kind
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.objects import StoredObject

KEY = bytes(range(32))
_SID = re.compile(r"(RT|CJ)[0-9a-f]{32}")


def _ending(block: bytes, claim: int | None = -1) -> SealedObject:
    """An object whose last block decrypts to `block`."""
    whole = sealed_for_key_0(bytes(100), content_key=KEY, plain_size=claim)
    return replace(whole, ciphertext=whole.ciphertext[:-16] + encrypt_blocks(block, KEY, whole.ciphertext[-32:-16]))


BAD: dict[str, Callable[[], SealedObject]] = {
    "a padding of no bytes": lambda: _ending(bytes(16)),
    "a padding of seventeen": lambda: _ending(b"\x11" * 16),
    "one wrong byte in a long padding": lambda: _ending(b"\x0c" * 8 + b"\x00" + b"\x0c" * 7),
    "a wrong padding, and no length to compare": lambda: _ending(bytes(16), None),
    "a valid padding, shorter than the length says": lambda: _ending(bytes(15) + b"\x01"),
    "a valid padding, longer than the length says": lambda: _ending(b"\x10" * 16),
    "a length that lies": lambda: sealed_for_key_0(bytes(100), content_key=KEY, plain_size=99),
    "another IV": lambda: _with_iv(sealed_for_key_0(b"short", content_key=KEY)),
    "the last block lost": lambda: _cut(sealed_for_key_0(bytes(100), content_key=KEY)),
}


def _with_iv(sealed: SealedObject) -> SealedObject:
    flipped = bytes([*IV[:15], IV[15] ^ 0x40])
    return replace(sealed, metadata={**sealed.metadata, "x-amz-iv": b64encode(flipped).decode()})


def _cut(sealed: SealedObject) -> SealedObject:
    return replace(sealed, ciphertext=sealed.ciphertext[:-16])


def test_all_failures_are_one_sentence() -> None:
    unlocker = Unlocker(keyring(0))
    sentences = set()
    for make in BAD.values():
        facts = make().facts
        info = unlocker.interpret(facts)
        with pytest.raises(MediaDamaged) as failure:
            unlocker.unlock(facts)
        sentences |= {info.reason, str(failure.value)}
    assert sentences == {"the object's end does not fit its envelope (padding or length)"}


@needs_fuse
def test_a_reader_sees_one_errno_and_the_log_one_sentence(tmp_path: Path, private_key: RSAPrivateKey) -> None:
    """Also what it costs is the same: who watches the requests learns nothing either."""
    account = SimulatedAccount()
    wrapped = b64encode(private_key.public_key().encrypt(KEY, PKCS1v15())).decode()
    for make in BAD.values():
        sealed = make()
        account.add_recording(StoredObject(sealed.ciphertext, {**sealed.metadata, "x-amz-key": wrapped}))
    with customer(tmp_path, account, private_key) as place, mounted(place, log_level="debug") as mount:
        paths = [mount.file(medium.sid) for medium in account.media(Kind.RECORDING)]
        assert {errno_of(path) for path in paths} == {errno.EIO}
        assert {errno_of(path) for path in paths} == {errno.EIO}
        asked = {path: [r for r in place.simulator.requests if path.name[:34] in r.path] for path in paths}
        assert {tuple(request.kind for request in of_path) for of_path in asked.values()} == {("api.media", "s3.get")}
        told = {_SID.sub("SID", line).split(" ", 1)[1] for line in mount.log.splitlines() if "padding" in line}
        assert len(told) == 1, told
        flags = [word for name, value in place.options.items() for word in (f"--{name.replace('_', '-')}", value)]
        verified = run_twfs("verify", place.source, "--all", "-v", *flags)
    assert verified.returncode == 1
    said = {_SID.sub("SID", line) for line in verified.stdout.splitlines() if "padding" in line}
    assert len(said) == 1, verified.stdout


def errno_of(path: Path) -> int:
    """Why it cannot be read."""
    try:
        path.read_bytes()
    except OSError as failure:
        return failure.errno or 0
    raise AssertionError(f"{path} can be read")


def test_the_sentence_is_no_secret_s() -> None:
    """Nothing in it differs with the key or the plaintext."""
    messages = set()
    for make in BAD.values():
        try:
            Unlocker(keyring(0)).unlock(make().facts)
        except TwfsError as error:
            messages.add(str(error))
    assert len(messages) == 1
    assert not re.search(r"[0-9]", messages.pop())
