from pathlib import Path

import pytest

from tests.cli.running import Account
from twfs.cli.doctor import (
    OK,
    PROBLEM,
    WARNING,
    Machine,
    check_binding,
    check_device,
    check_fuse_conf,
    check_helpers,
    machine_findings,
)
from twfs.cli.install import HELPERS
from twfs.cli.main import main
from twfs.simulator.faults import Fault


def report(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str]]:
    code = main(["doctor", *words])
    return code, capsys.readouterr().out.splitlines()


def about(lines: list[str], words: str) -> str:
    (line,) = [line for line in lines if words in line]
    return line.split()[0]


def test_missing_device_is_a_problem_with_its_mend(tmp_path: Path) -> None:
    finding = check_device(tmp_path / "fuse")
    assert finding.level == PROBLEM
    assert "--device /dev/fuse" in finding.text


def test_device_that_cannot_be_opened_is_a_problem(tmp_path: Path) -> None:
    assert check_device(tmp_path).level == PROBLEM  # a folder cannot be opened for writing


def test_device_that_can_be_opened_is_ok() -> None:
    assert check_device(Path("/dev/null")).level == OK


def test_binding_of_the_test_machine_is_found() -> None:
    finding = check_binding()
    assert finding.level in (OK, WARNING)
    assert "libfuse" in finding.text


@pytest.mark.parametrize(
    ("text", "level"), [("user_allow_other\n", OK), ("#user_allow_other\n", WARNING), ("mount_max = 9\n", WARNING)]
)
def test_sharing_needs_a_line_in_fuse_conf(tmp_path: Path, text: str, level: str) -> None:
    path = tmp_path / "fuse.conf"
    path.write_text(text)
    assert check_fuse_conf(path).level == level


def test_missing_fuse_conf_allows_nothing(tmp_path: Path) -> None:
    assert check_fuse_conf(tmp_path / "fuse.conf").level == WARNING


def test_helpers_are_both_needed(tmp_path: Path) -> None:
    assert "twfs install" in check_helpers(tmp_path).text
    (tmp_path / HELPERS[0]).touch()
    assert check_helpers(tmp_path).level == WARNING
    (tmp_path / HELPERS[1]).touch()
    assert check_helpers(tmp_path).level == OK


def test_fuse_conf_concerns_only_users_other_than_root(tmp_path: Path) -> None:
    conf = tmp_path / "fuse.conf"
    of_root, of_user = (
        [finding.text for finding in machine_findings(Machine(fuse_conf=conf, is_root=is_root))]
        for is_root in (True, False)
    )
    assert not [text for text in of_root if str(conf) in text]
    assert [text for text in of_user if str(conf) in text]


@pytest.mark.usefixtures("home")
def test_nothing_configured_is_a_warning_and_with_a_source_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    _, lines = report(capsys)
    assert about(lines, "no credentials") == WARNING
    code, lines = report(capsys, "twilio:")
    assert (code, about(lines, "no credentials")) == (1, PROBLEM)


def test_file_open_to_others_is_a_problem_with_its_mend(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "c").write_text("")
    (home / "c").chmod(0o644)
    code, lines = report(capsys, "--credentials", str(home / "c"))
    assert (code, about(lines, f"chmod 600 {home / 'c'}")) == (1, PROBLEM)


def test_working_account_costs_one_request(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    _, lines = report(capsys, account.source, *account.flags)
    assert about(lines, "takes the credentials") == OK
    assert about(lines, "private keys: ") == OK
    assert account.simulated.simulator.count("api") == 1


@pytest.mark.usefixtures("home")
def test_without_a_source_nothing_is_asked(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    report(capsys, *account.flags)
    assert account.simulated.simulator.count("api") == 0


def test_refused_credentials_are_a_problem(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    account.simulated.simulator.inject(Fault("api", status=401, times=None))
    code, lines = report(capsys, account.source, *account.flags)
    assert (code, about(lines, account.simulated.simulator.url)) == (1, PROBLEM)


def test_no_private_key_is_a_warning(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = account.simulated.simulator
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", simulator.account.account_sid)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", simulator.account.auth_token)
    _, lines = report(capsys, "twilio:", "--api-url", simulator.url)
    assert about(lines, "no private key") == WARNING
    assert about(lines, "takes the credentials") == OK
    assert simulator.account.auth_token not in "".join(lines)
