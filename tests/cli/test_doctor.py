import ctypes
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.cli.running import Account
from tests.config.builders import Home
from tests.mount.harness import Customer, customer, needs_root, new_key, pem, secret_file
from twfs.cli.doctor_account import check_clock, check_state
from twfs.cli.doctor_machine import (
    Machine,
    Wanted,
    check_apparmor,
    check_binding,
    check_device,
    check_fuse_conf,
    check_helpers,
    check_mounts,
    check_prunefs,
    check_read_ahead,
    check_request_timeouts,
    libfuse_versions,
    machine_findings,
)
from twfs.cli.finding import OK, PROBLEM, WARNING, Finding
from twfs.cli.install import HELPERS
from twfs.cli.main import main
from twfs.mount.journald import SOCKET
from twfs.mount.system import FSTYPE, MountEntry
from twfs.simulator.account import SimulatedAccount
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject
from twfs.simulator.sealing import seal


def report(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """What is found, a line each. The machine may have troubles of its own, such as mounts whose process was killed."""
    code = main(["doctor", *words])
    *lines, sums = capsys.readouterr().out.splitlines()
    levels = Counter(line.split()[0] for line in lines)
    counted = [f"{levels[level]} {level}{'s' * (levels[level] > 1)}" for level in (PROBLEM, WARNING) if levels[level]]
    assert (code, sums) == (int(levels[PROBLEM] > 0), ", ".join(counted) or "all is well")
    return lines


def about(lines: list[str], words: str) -> str:
    (line,) = [line for line in lines if words in line]
    return line.split()[0]


def test_missing_device_is_a_problem_with_its_mend(tmp_path: Path) -> None:
    finding = check_device(tmp_path / "fuse")
    assert finding.level == PROBLEM
    assert "--device /dev/fuse" in finding.mend


def test_device_that_cannot_be_opened_is_a_problem(tmp_path: Path) -> None:
    assert check_device(tmp_path).level == PROBLEM  # a folder cannot be opened for writing


def test_device_that_can_be_opened_is_ok() -> None:
    assert check_device(Path("/dev/null")).level == OK


def test_binding_of_the_test_machine_is_found() -> None:
    finding = check_binding()
    assert finding.level in (OK, WARNING)
    assert "libfuse" in finding.text


class Files:
    """A machine made of files below a folder."""

    def __init__(self, root: Path) -> None:
        self.machine = Machine(root)

    def write(self, path: str, text: str) -> None:
        file = self.machine.file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_binding_that_is_asked_for_is_the_one_that_is_named() -> None:
    for choice in ("2", "3"):
        finding = check_binding(choice)
        if finding.level != PROBLEM:
            assert finding.text.startswith(f"libfuse {choice}.")
    assert all(version[:2] in ("2.", "3.") for version in libfuse_versions())


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("user_allow_other\n", OK),
        ("mount_max = 9\n \tuser_allow_other # Samba\n", OK),
        ("#user_allow_other\n", WARNING),
        ("mount_max = 9 # user_allow_other\n", WARNING),
        ("user_allow_others\n", WARNING),
    ],
)
def test_sharing_needs_a_line_in_fuse_conf(files: Files, text: str, level: str) -> None:
    files.write("etc/fuse.conf", text)
    assert check_fuse_conf(files.machine).level == level


def test_missing_fuse_conf_allows_nothing(files: Files) -> None:
    assert check_fuse_conf(files.machine).level == WARNING


def test_helpers_are_both_needed(tmp_path: Path) -> None:
    assert "twfs install" in check_helpers(tmp_path).mend
    (tmp_path / HELPERS[0]).touch()
    assert check_helpers(tmp_path).level == WARNING
    (tmp_path / HELPERS[1]).touch()
    assert check_helpers(tmp_path).level == OK


def test_some_things_root_need_not_mind(files: Files) -> None:
    files.write("etc/apparmor.d/fusermount3", "profile\n")
    files.write("sys/module/apparmor/parameters/enabled", "Y\n")
    of_root, of_user = (
        {finding.check: finding.level for finding in machine_findings(Machine(files.machine.root, is_root), Wanted(30))}
        for is_root in (True, False)
    )
    assert of_root.keys() == of_user.keys()
    for check in ("allow_other", "AppArmor"):
        assert (of_root[check], of_user[check]) == (OK, WARNING)


def test_sharing_that_is_asked_for_and_not_allowed_is_a_problem(files: Files) -> None:
    assert check_fuse_conf(files.machine, shares=True).level == PROBLEM
    files.write("etc/fuse.conf", "user_allow_other\n")
    assert check_fuse_conf(files.machine, shares=True).level == OK


def mended(finding: Finding) -> None:
    """Do what it says."""
    subprocess.run(["sh", "-c", finding.mend.partition("run as root: ")[2]], check=True)


@pytest.mark.parametrize("text", ['PRUNEFS = "nfs fuse.twfs"\n', 'PRUNEFS="fuse.twfs"\n'])
def test_updatedb_that_passes_mounts_over(files: Files, text: str) -> None:
    assert check_prunefs(files.machine).level == OK
    files.write("etc/updatedb.conf", text)
    assert check_prunefs(files.machine).level == OK


@pytest.mark.parametrize("text", ['PRUNEFS = "nfs"\n', '\tPRUNEFS=""\n', "", '# PRUNEFS = "nfs"\n'])
def test_updatedb_that_would_look_into_mounts_can_be_mended(files: Files, text: str) -> None:
    files.write("etc/updatedb.conf", text)
    finding = check_prunefs(files.machine)
    assert finding.level == WARNING
    mended(finding)
    assert check_prunefs(files.machine).level == OK


@pytest.mark.parametrize(
    ("default", "most", "level"),
    [(0, 0, OK), (60, 0, OK), (20, 0, PROBLEM), (0, 20, PROBLEM), (60, 20, PROBLEM), (20, 60, PROBLEM), (31, 0, OK)],
)
def test_the_kernel_must_be_more_patient_than_twfs(files: Files, default: int, most: int, level: str) -> None:
    files.write("proc/sys/fs/fuse/default_request_timeout", f"{default}\n")
    files.write("proc/sys/fs/fuse/max_request_timeout", f"{most}\n")
    finding = check_request_timeouts(files.machine, 30)
    assert finding.level == level
    assert ("timeout=10" in finding.mend) == (level == PROBLEM)


def test_kernels_without_that_setting_are_patient(files: Files) -> None:
    assert check_request_timeouts(files.machine, 30).level == OK


def test_the_kernel_counts_in_steps(files: Files) -> None:
    files.write("proc/sys/fs/fuse/default_request_timeout", "1\n")
    assert "after 15 s" in check_request_timeouts(files.machine, 30).text
    assert check_request_timeouts(files.machine, 10).level == OK


def test_apparmor_matters_where_it_is_on_and_has_a_profile(files: Files) -> None:
    assert check_apparmor(files.machine).level == OK
    files.write("etc/apparmor.d/fusermount3", "profile\n")
    assert check_apparmor(files.machine).level == OK
    files.write("sys/module/apparmor/parameters/enabled", "Y\n")
    finding = check_apparmor(files.machine)
    assert finding.level == WARNING
    assert "apparmor_parser -r" in finding.mend
    files.write("etc/apparmor.d/local/fusermount3", "mount fstype=fuse.twfs -> /srv/recordings/,\n")
    assert check_apparmor(files.machine).level == OK


def entry(mountpoint: Path, fstype: str = FSTYPE) -> MountEntry:
    return MountEntry(mountpoint, "twilio:AC", fstype, "0:99")


@pytest.mark.parametrize(("text", "level"), [("128\n", WARNING), ("1024\n", OK), ("4096\n", OK)])
def test_read_ahead_of_a_mount(files: Files, text: str, level: str) -> None:
    files.write("sys/class/bdi/0:99/read_ahead_kb", text)
    finding = check_read_ahead(entry(Path("/mnt")), files.machine)
    assert finding.level == level
    assert ("echo 1024 > " in finding.mend) == (level == WARNING)


def test_only_mounts_of_twfs_are_looked_at(files: Files) -> None:
    found = list(check_mounts([entry(files.machine.root), entry(Path("/"), "ext4")], files.machine))
    assert [(finding.level, finding.check) for finding in found] == [(OK, "mount"), (OK, "read-ahead")]


@pytest.mark.parametrize(
    ("skew", "level", "words"),
    [(0.5, OK, "goes as"), (-29, OK, "goes as"), (95, WARNING, "95 s ahead"), (-3600, WARNING, "3600 s behind")],
)
def test_clock(skew: float, level: str, words: str) -> None:
    finding = check_clock(skew)
    assert finding.level == level
    assert words in finding.text


def test_a_clock_that_cannot_be_compared_is_no_good_clock() -> None:
    assert check_clock(None).level == WARNING


@pytest.mark.usefixtures("home")
def test_nothing_configured_is_a_warning_and_with_a_source_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert about(report(capsys), "no credentials") == WARNING
    assert about(report(capsys, "twilio:"), "no credentials") == PROBLEM


def test_file_open_to_others_is_a_problem_with_its_mend(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "c").write_text("")
    (home / "c").chmod(0o644)
    lines = report(capsys, "--credentials", str(home / "c"))
    assert about(lines, f"chmod 600 {home / 'c'}") == PROBLEM


def test_working_account_costs_two_lists_and_two_requests_for_each_of_a_few_media(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = report(capsys, account.source, *account.flags)
    assert [line for line in lines if line.startswith(PROBLEM) and "the mount at" not in line] == []
    answers = ("recordings: S3 answers", "compositions: S3 answers")
    for words in ("takes the credentials", "private keys: ", "goes as Twilio's", *answers):
        assert about(lines, words) == OK
    simulator = account.simulated.simulator
    assert simulator.count("api") <= 2 + 2 * 5
    assert simulator.count("s3") <= 2 * 5
    assert simulator.bytes_sent("s3") <= 32 * simulator.count("s3")


@pytest.mark.usefixtures("home")
def test_without_a_source_nothing_is_asked(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    report(capsys, *account.flags)
    assert account.simulated.simulator.count("api") == 0


def test_refused_credentials_are_a_problem(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    account.simulated.simulator.inject(Fault("api", status=401, times=None))
    lines = report(capsys, account.source, *account.flags)
    assert about(lines, account.simulated.simulator.url) == PROBLEM
    origin = account.simulated.credentials_file
    assert about(lines, f"check account_sid, api_key and the secret, which come from {origin}") == PROBLEM
    assert about(lines, f"credentials of {account.simulated.simulator.account.api_key} from {origin}") == OK


def test_no_private_key_is_a_warning(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = account.simulated.simulator
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", simulator.account.account_sid)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", simulator.account.auth_token)
    lines = report(capsys, "twilio:", "--api-url", simulator.url)
    assert about(lines, "no private key: ") == WARNING
    assert about(lines, "takes the credentials") == OK
    assert simulator.account.auth_token not in "".join(lines)


@pytest.mark.usefixtures("home")
def test_what_lies_beside_the_keys_is_named(
    account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    secret_file(keys / "private_key.pem", pem(new_key()))
    secret_file(keys / "old.pem", pem(new_key())[:300])
    (keys / "empty.pem").touch()
    lines = report(capsys, account.source, *account.flags, "--private-key", str(keys))
    assert about(lines, f"private keys: {keys}/private_key.pem") == OK
    assert about(lines, f"passed over: {keys}/empty.pem is empty") == OK
    assert about(lines, f"passed over: {keys}/old.pem holds a damaged private key") == WARNING


@pytest.fixture
def home_of_customer(home: Path, tmp_path: Path) -> Path:
    (tmp_path / "customer").mkdir()
    return tmp_path / "customer"


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return new_key()


def findings_of(place: Customer, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Finding]]:
    """The exit code, and what `--json` says, by check."""
    code = main(["doctor", place.source, "--json", "-o", place.option_text()])
    said = json.loads(capsys.readouterr().out)
    found = [Finding(**finding) for finding in said["findings"]]
    assert said["problems"] == sum(finding.level == PROBLEM for finding in found)
    assert said["warnings"] == sum(finding.level == WARNING for finding in found)
    return code, {finding.check: finding for finding in found}


def test_the_key_that_opens_a_real_medium_is_named(
    home_of_customer: Path, key: RSAPrivateKey, capsys: pytest.CaptureFixture[str]
) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(b"secret" * 10, key.public_key()))
    account.add_recording(StoredObject(b"plain"))
    with customer(home_of_customer, account, key) as place:
        _, found = findings_of(place, capsys)
    finding = found["media of recordings"]
    assert finding.level == OK
    assert f"{home_of_customer}/private_key_0.pem opens {sid}" in finding.text
    assert "there are none" in found["media of compositions"].text
    assert found["state file"].text.endswith("will be made")


def test_a_key_that_opens_nothing_is_a_problem(
    home_of_customer: Path, key: RSAPrivateKey, capsys: pytest.CaptureFixture[str]
) -> None:
    account = SimulatedAccount()
    sid = account.add_recording(seal(b"secret" * 10, new_key().public_key()))
    with customer(home_of_customer, account, key) as place:
        code, found = findings_of(place, capsys)
    finding = found["media of recordings"]
    assert (code, finding.level) == (1, PROBLEM)
    assert sid in finding.text
    assert "private_key=PATH" in finding.mend


def test_a_key_of_another_era_that_is_missing_is_a_warning(
    home_of_customer: Path, key: RSAPrivateKey, capsys: pytest.CaptureFixture[str]
) -> None:
    account = SimulatedAccount()
    opened, closed = (account.add_recording(seal(b"x", of.public_key())) for of in (key, new_key()))
    with customer(home_of_customer, account, key) as place:
        _, found = findings_of(place, capsys)
    finding = found["media of recordings"]
    assert finding.level == WARNING
    assert f"opens {opened}, but {closed} cannot be opened" in finding.text


def test_plain_media_try_s3_only(
    home_of_customer: Path, key: RSAPrivateKey, capsys: pytest.CaptureFixture[str]
) -> None:
    account = SimulatedAccount()
    account.add_recording(StoredObject(b"plain"))
    account.add_recording(None)
    with customer(home_of_customer, account, key) as place:
        _, found = findings_of(place, capsys)
    assert "the newest one is not encrypted" in found["media of recordings"].text


@pytest.mark.parametrize(
    ("options", "fault", "text", "mend"),
    [
        ({"timeout": "3"}, Fault("s3", status=503, times=None), "the media cannot be had", "look at the clock"),
        ({"media_hosts": "example.com"}, None, "add it to media_hosts", ""),
    ],
)
def test_media_out_of_reach_are_a_problem(
    home_of_customer: Path,
    key: RSAPrivateKey,
    capsys: pytest.CaptureFixture[str],
    *,
    options: dict[str, str],
    fault: Fault | None,
    text: str,
    mend: str,
) -> None:
    account = SimulatedAccount()
    account.add_recording(StoredObject(b"plain"))
    with customer(home_of_customer, account, key) as place:
        place.options.update(options)
        if fault is not None:
            place.simulator.inject(fault)
        code, found = findings_of(place, capsys)
    finding = found["media of recordings"]
    assert (code, finding.level) == (1, PROBLEM)
    assert text in finding.text
    assert finding.mend.partition(",")[0] == mend


def test_a_state_file_is_looked_at_and_left_as_it_is(
    home_of_customer: Path, key: RSAPrivateKey, capsys: pytest.CaptureFixture[str]
) -> None:
    with customer(home_of_customer, SimulatedAccount(), key) as place:
        assert main(["ls", place.source, "-o", place.option_text()]) == 0
        capsys.readouterr()
        assert findings_of(place, capsys)[1]["state file"].text.endswith("can be used")
        (file,) = (home_of_customer / "state").iterdir()
        file.write_bytes(b"no database at all" * 1000)
        finding = findings_of(place, capsys)[1]["state file"]
        assert (finding.level, finding.mend) == (WARNING, f"run: rm {file}")
        assert file.read_bytes() == b"no database at all" * 1000
        file.parent.chmod(0o777)
        finding = findings_of(place, capsys)[1]["state file"]
        assert finding.level == PROBLEM
        assert f"can be changed by everybody; run: chmod go-w {file.parent}" in finding.text


def test_a_state_folder_of_any_name_is_looked_at(
    home_of_customer: Path, key: RSAPrivateKey, capsys: pytest.CaptureFixture[str]
) -> None:
    with customer(home_of_customer, SimulatedAccount(), key) as place:
        place.options["state_dir"] = str(home_of_customer / os.fsdecode(b"b\xe4d %? dir"))
        assert main(["ls", place.source, "-o", place.option_text()]) == 0
        capsys.readouterr()
        assert findings_of(place, capsys)[1]["state file"].text.endswith("can be used")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can enter, as pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="twfs-doctor-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@needs_root
@pytest.mark.parametrize(
    ("state_dir", "mend"),
    [("roots", "run as root: chown -R 65534 {}/roots, or give state_dir=DIR"), ("roots/state", "give state_dir=DIR")],
)
def test_a_state_folder_that_is_roots_is_a_warning(open_folder: Path, home: Path, state_dir: str, mend: str) -> None:
    (open_folder / "roots").mkdir(mode=0o700)
    config = Home(home).load(overrides={"state_dir": str(open_folder / state_dir)})
    os.setresuid(65534, 65534, 0)
    try:
        finding = check_state(config)
    finally:
        os.setresuid(0, 0, 0)
        # Who has changed its user is closed to debuggers (PR_SET_DUMPABLE, 4), and other tests look at that.
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
    assert finding.level == WARNING
    assert finding.text.startswith(f"{open_folder}/roots cannot be entered: ")
    assert finding.mend == mend.format(open_folder)


def test_options_that_a_mount_would_fail_with_are_problems(
    home_of_customer: Path, key: RSAPrivateKey, capsys: pytest.CaptureFixture[str]
) -> None:
    with customer(home_of_customer, SimulatedAccount(), key) as place, socket.create_server(("127.0.0.1", 0)) as taken:
        place.options["metrics"] = f"127.0.0.1:{taken.getsockname()[1]}"
        place.options["audit"] = f"{home_of_customer}/nowhere/audit"
        place.options["cache_size"] = "1073741824G"
        code, found = findings_of(place, capsys)
    assert code == 1
    for check, words in (
        ("metrics", "cannot listen there: Address already in use"),
        ("audit", f"{home_of_customer}/nowhere is no folder that you may write to"),
        ("cache", "the machine does not give that much memory"),
    ):
        assert found[check].level == PROBLEM
        assert words in found[check].text
    assert found["credentials"].level == OK


def test_options_that_a_mount_can_have_are_well_and_nothing_is_made(
    home_of_customer: Path, key: RSAPrivateKey, capsys: pytest.CaptureFixture[str]
) -> None:
    audit = home_of_customer / "audit"
    with customer(home_of_customer, SimulatedAccount(), key) as place:
        place.options |= {"metrics": "127.0.0.1:0", "audit": str(audit)}
        found = findings_of(place, capsys)[1]
        assert [found[check].level for check in ("metrics", "audit", "cache", "log place")] == [OK] * 4
        place.options["log_file"] = f"{home_of_customer}/twfs.log"
        assert findings_of(place, capsys)[1]["log place"].text.endswith(f" writes it to {home_of_customer}/twfs.log")
        place.options["log_file"] = f"{home_of_customer}/nowhere/twfs.log"
        assert findings_of(place, capsys)[1]["log place"].level == PROBLEM
        del place.options["log_file"]
        assert not audit.exists()
        audit.touch(0o600)
        assert findings_of(place, capsys)[1]["audit"].level == OK
        audit.chmod(0o644)
        finding = findings_of(place, capsys)[1]["audit"]
    assert (finding.level, audit.read_bytes()) == (PROBLEM, b"")
    assert f"chmod 600 {audit}" in finding.text


def test_a_journal_must_be_there_for_what_goes_to_it(
    home_of_customer: Path, key: RSAPrivateKey, capsys: pytest.CaptureFixture[str]
) -> None:
    with customer(home_of_customer, SimulatedAccount(), key) as place:
        place.options |= {"audit": "journal", "log_format": "journal"}
        found = findings_of(place, capsys)[1]
    if SOCKET.exists():
        assert (found["audit"].level, found["log"].level) == (OK, OK)
        return
    for check, mend in (("audit", "give a file instead"), ("log", "give log_format=text")):
        assert (found[check].level, found[check].mend) == (PROBLEM, mend)
        assert "systemd's journal does not answer" in found[check].text
