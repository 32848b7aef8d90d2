import pytest

from twfs.catalog.options import CatalogSettings
from twfs.cli.main import build_parser
from twfs.cli.outcome import UsageError
from twfs.cli.selection import Wanted, selection_of, wanted_of
from twfs.errors import ConfigError

RT, CJ = "RT" + "1" * 32, "CJ" + "2" * 32


def wanted(*words: str, **overrides: str) -> Wanted:
    return wanted_of(build_parser().parse_args(["get", *words]), overrides)


def test_sids_each_once_in_their_order() -> None:
    assert wanted(CJ, RT, CJ) == Wanted("twilio:", (CJ, RT), CatalogSettings())


def test_source_before_them() -> None:
    assert wanted("twilio:clinic", RT).source == "twilio:clinic"
    assert wanted("twilio:clinic", "--all", kind="recordings") == Wanted(
        "twilio:clinic", (), CatalogSettings(kind="recordings")
    )


@pytest.mark.parametrize("words", [[], ["twilio:"], [RT, "--all"], ["RM" + "1" * 32], [RT, "twilio:x"]])
def test_what_cannot_be_meant(words: list[str]) -> None:
    with pytest.raises(UsageError):
        wanted(*words)


def test_selection_is_taken_out_of_the_overrides() -> None:
    overrides = {"kind": "recordings", "since": "1970-01-02", "timeout": "5"}
    assert selection_of(overrides) == CatalogSettings(kind="recordings", since=86400)
    assert overrides == {"timeout": "5"}
    with pytest.raises(ConfigError, match="option room"):
        selection_of({"room": "RM1"})
