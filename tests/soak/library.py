"""The soak's account: media of every kind, and beside them their plaintext for the readers to compare with."""

import json
import random
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tests.soak.reader import Piece
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.objects import StoredObject
from twfs.simulator.sealing import seal, throwaway_public_key

_KEY_BITS = (128, 192, 256)
_SMALL = (0, 1, 15, 16, 17, 4095, 4096, 4097, 65_536, 131_071)


class Library:
    """So many media, most of them readable."""

    def __init__(self, folder: Path, count: int, key: RSAPublicKey, seed: int) -> None:
        """Plaintext goes to `folder`."""
        self.account = SimulatedAccount()
        self.states = {"readable": 0, "locked": 0, "damaged": 0, "absent": 0}
        self.pieces: list[Piece] = []
        self._folder = folder
        self._key = key
        self._foreign_key = throwaway_public_key()
        self._random = random.Random(seed)
        self._yesterday = self.account.now() - timedelta(days=1)
        for number in range(count):
            self._add(number)

    def write_manifest(self, mountpoint: Path) -> Path:
        """What readers are told."""
        path = self._folder / "manifest.json"
        content = {"mountpoint": str(mountpoint), "pieces": [asdict(piece) for piece in self.pieces]}
        path.write_text(json.dumps(content))
        return path

    def _add(self, number: int) -> None:
        """Of every forty one is locked, one damaged, one without media; of every five one is not encrypted."""
        plain = self._random.randbytes(self._size(number))
        state = {17: "locked", 27: "damaged", 37: "absent"}.get(number % 40, "readable")
        self.states[state] += 1
        reference = self._folder / str(number)
        reference.write_bytes(b"" if state == "absent" else plain)
        stored = self._stored(number, plain, state)
        if number % 4 == 3 and stored is not None:
            path = f"compositions/{self.account.add_composition(stored)}.mp4"
        else:
            # Young media without any are asked for again and again, for some may come yet.
            sid = self.account.add_recording(stored, track_name=f"track {number}", date_created=self._yesterday)
            path = f"recordings/{sid}.mkv"
        refusal = {"locked": "ENOKEY", "damaged": "EIO"}.get(state, "")
        size = {"damaged": -1, "absent": 0}.get(state, len(plain))
        self.pieces.append(Piece(path, str(reference), size, refusal))

    def _size(self, number: int) -> int:
        if number % 40 in (17, 27):
            return 100_000
        if number % 40 < len(_SMALL):
            return _SMALL[number % 40]
        return 6_000_000 if number % 40 == 39 else self._random.randrange(100_000, 500_000)

    def _stored(self, number: int, plain: bytes, state: str) -> StoredObject | None:
        if state == "absent":
            return None
        if state == "readable" and number % 5 == 0:
            return StoredObject(plain)
        key = self._foreign_key if state == "locked" else self._key
        # Without the length a cut object would pass for a whole one where its last byte is 1 by chance.
        with_length = state == "damaged" or bool(number % 7)
        sealed = seal(plain, key, key_bits=_KEY_BITS[number % 3], with_length=with_length)
        return replace(sealed, data=sealed.data[:-16]) if state == "damaged" else sealed
