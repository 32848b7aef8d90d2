"""What a track is called never becomes an order to the terminal, nor a row or column of its own."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.mount.harness import customer, run_twfs
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.objects import StoredObject

HOSTILE = (
    "\x1b[2J\x1b[H cleared",
    "\x1b]0;title\x07",
    "\x1b]8;;https://attacker.example\x1b\\click\x1b]8;;\x1b\\",
    "\x9b31m red",
    "line\r\nforged RT" + "0" * 32,
    "back\b\b\b\b",
    "tab\tcolumn",
    "\u202egpj.exe",
    "\u2066hidden\u2069",
    "line\u2028separator\u0085",
    "lone \ud800 surrogate",
    "\x00nul",
    "../../../../etc/passwd",
    "-rf",
    "zero\u200bwidth\ufeff",
    "private\ue000use",
)


@pytest.mark.parametrize(
    "form", [(), ("--plain",), ("--json",), ("--summary",)], ids=lambda form: "".join(form) or "table"
)
def test_ls_shows_every_name_harmlessly(tmp_path: Path, private_key: RSAPrivateKey, form: tuple[str, ...]) -> None:
    account = SimulatedAccount()
    for name in HOSTILE:
        account.add_recording(StoredObject(b"x"), track_name=name, codec=name)
    with customer(tmp_path, account, private_key) as place:
        flags = [word for name, value in place.options.items() for word in (f"--{name.replace('_', '-')}", value)]
        done = run_twfs("ls", place.source, *form, *flags, environ={"PYTHONIOENCODING": "utf-8"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    allowed = {"\t"} if form == ("--plain",) else set()
    assert [
        line for line in lines if not set(filter(lambda character: not character.isprintable(), line)) <= allowed
    ] == []
    if form == ("--plain",):
        assert {line.count("\t") for line in lines if line} == {lines[0].count("\t")}
    if form in ((), ("--plain",)):
        assert len(lines) == len(HOSTILE) + 2
