import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clocks import ManualClock
from tests.config.builders import ACCOUNT, API_KEY, ENVIRONMENT, OTHER_ACCOUNT, OTHER_API_KEY, Home, pem
from twfs.config.reload import Reloading
from twfs.config.secrets import Credentials


def credentials(secret: str, key: str = API_KEY, account: str = ACCOUNT) -> str:
    return f"account_sid={account}\napi_key={key}\napi_secret={secret}\n"


class Mounted:
    """A mount's part that matters here, with a credentials file and a key folder."""

    def __init__(self, home: Home, environ: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.clock = ManualClock()
        self.file = home.write("c", credentials("first"))
        home.write("keys/a.pem", pem(0))
        overrides = {} if environ else {"credentials": str(self.file)}
        overrides["private_key"] = str(home.path / "keys")
        self.config = home.load(overrides=overrides, environ=environ or {})
        self.used: list[Credentials] = []
        self.events: list[str] = []
        self.reloading = Reloading(self.config, self.clock, self.used.append)
        self.reloading.attach(
            on_keys=lambda: self.events.append("keys"), on_credentials=lambda: self.events.append("credentials")
        )

    @property
    def keys(self) -> list[str]:
        return [Path(key.name).name for key in self.config.keyring]

    @property
    def secrets(self) -> list[str]:
        return [credentials.secret.reveal() for credentials in self.used]


@pytest.fixture
def mount(home: Home, caplog: pytest.LogCaptureFixture) -> Mounted:
    caplog.set_level(logging.INFO, "twfs")
    return Mounted(home)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return lines


def test_where_nothing_changed_nothing_happens(mount: Mounted, caplog: pytest.LogCaptureFixture) -> None:
    mount.reloading.for_credentials()
    assert (mount.used, mount.events, said(caplog)) == ([], [], [])
    mount.reloading.look_now()
    assert said(caplog) == ["credentials and private keys are as they were"]


def test_replaced_credentials_are_used_from_then_on(mount: Mounted, caplog: pytest.LogCaptureFixture) -> None:
    mount.home.write("c", credentials("second", OTHER_API_KEY))
    mount.reloading.for_credentials()
    assert (mount.secrets, mount.events) == (["second"], ["credentials"])
    assert said(caplog) == [f"credentials were replaced: from now on {OTHER_API_KEY} from {mount.file}"]
    assert mount.reloading.credentials.user == OTHER_API_KEY
    mount.clock.sleep(60)
    mount.reloading.for_credentials()
    assert (len(mount.used), said(caplog)) == (1, [])


def test_a_key_that_came_is_added_and_one_that_went_is_kept(mount: Mounted, caplog: pytest.LogCaptureFixture) -> None:
    added = mount.home.write("keys/b.pem", pem(1))
    (mount.home.path / "keys/a.pem").unlink()
    mount.reloading.for_credentials()
    assert (mount.keys, mount.events) == (["a.pem", "b.pem"], ["keys"])
    assert said(caplog) == [f"private keys were added: {added}"]


def test_the_disk_is_read_once_however_much_fails(mount: Mounted) -> None:
    mount.reloading.for_credentials()
    mount.home.write("c", credentials("second"))
    for _ in range(100):
        mount.reloading.for_credentials()
    assert mount.used == []
    mount.clock.sleep(1)
    mount.reloading.for_credentials()
    assert mount.secrets == ["second"]


def test_looking_for_keys_does_not_hold_off_looking_for_credentials(mount: Mounted) -> None:
    mount.reloading.for_keys()
    mount.home.write("c", credentials("second"))
    mount.reloading.for_keys()
    assert mount.used == []
    mount.reloading.for_credentials()
    assert mount.secrets == ["second"]


def test_who_asks_for_it_does_not_wait(mount: Mounted) -> None:
    mount.reloading.for_credentials()
    mount.home.write("c", credentials("second"))
    mount.reloading.look_now()
    assert mount.secrets == ["second"]


def test_a_look_that_takes_long_is_taken_less_often(mount: Mounted) -> None:
    class Slow(ManualClock):
        def monotonic(self) -> float:
            self.sleep(2)
            return super().monotonic()

    slow = Slow()
    reloading = Reloading(mount.config, slow, mount.used.append)
    reloading.for_credentials()
    mount.home.write("c", credentials("second"))
    slow.sleep(30)
    reloading.for_credentials()
    assert mount.used == []
    slow.sleep(10)
    reloading.for_credentials()
    assert mount.secrets == ["second"]


@pytest.mark.parametrize(
    ("name", "content", "mode"),
    [
        ("c", "", 0o600),
        ("c", "api_secret=hunter2\n", 0o600),
        ("c", credentials("second")[:50], 0o600),
        ("c", credentials("second"), 0o644),
        ("c", credentials("second", account=OTHER_ACCOUNT), 0o600),
        ("keys/a.pem", pem(1)[:300], 0o600),
        ("keys/a.pem", pem(1), 0o604),
    ],
)
def test_what_is_broken_keeps_the_old_and_is_said_once(
    mount: Mounted, caplog: pytest.LogCaptureFixture, name: str, content: str, mode: int
) -> None:
    before = (mount.home.path / name).read_bytes()
    mount.home.write(name, content, mode)
    for _ in range(3):
        mount.clock.sleep(60)
        mount.reloading.for_credentials()
    assert (mount.used, mount.events, mount.keys) == ([], [], ["a.pem"])
    (line,) = said(caplog)
    what = "credentials" if name == "c" else "private keys"
    assert line.startswith(f"{what} in use are kept, for new ones do not do: ")
    assert "hunter2" not in line
    assert mount.reloading.credentials.secret.reveal() == "first"
    mount.home.write(name, before)
    mount.clock.sleep(60)
    mount.reloading.for_credentials()
    assert said(caplog) == ["credentials and private keys can be read again"]


def test_a_key_that_is_broken_does_not_keep_credentials_from_being_replaced(
    mount: Mounted, caplog: pytest.LogCaptureFixture
) -> None:
    mount.home.write("keys/b.pem", pem(1), 0o644)
    mount.home.write("c", credentials("second"))
    mount.reloading.for_credentials()
    assert mount.secrets == ["second"]
    assert sum("private keys in use are kept" in line for line in said(caplog)) == 1


def test_broken_credentials_do_not_keep_a_key_from_being_added(
    mount: Mounted, caplog: pytest.LogCaptureFixture
) -> None:
    mount.home.write("keys/b.pem", pem(1))
    mount.home.write("c", "nonsense")
    mount.reloading.for_keys()
    assert (mount.keys, mount.used) == (["a.pem", "b.pem"], [])
    assert sum("credentials in use are kept" in line for line in said(caplog)) == 1


def test_what_is_wrong_with_both_is_one_line(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    home.write("config.toml", "[profiles.default]\n")
    home.write("c", credentials("first"))
    overrides = {"config": str(home.path / "config.toml"), "credentials": str(home.path / "c")}
    config = home.load(overrides=overrides, environ={})
    home.write("config.toml", "[")
    Reloading(config, ManualClock(), lambda _new: None).for_credentials()
    (line,) = said(caplog)
    assert line.startswith("credentials and private keys in use are kept, for new ones do not do: configuration file")


@pytest.mark.parametrize("name", ["credentials", "private_key"])
def test_a_pipe_is_not_waited_for_and_the_other_of_the_two_is_read(
    home: Home, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Such as `--private-key <(vault read ...)`: all that it holds was read at the start."""
    files = {
        "credentials": home.write("c", credentials("first")),
        "private_key": home.write("keys/a.pem", pem(0)).parent,
    }
    pipe = home.path / "pipe"
    os.mkfifo(pipe, 0o600)
    content = credentials("first").encode() if name == "credentials" else (home.path / "keys/a.pem").read_bytes()
    writer = threading.Thread(target=pipe.write_bytes, args=[content])
    writer.start()
    config = home.load(overrides={key: str(path) for key, path in (files | {name: pipe}).items()}, environ={})
    writer.join()
    home.write("c", credentials("second"))
    home.write("keys/b.pem", pem(1))
    reloading = Reloading(config, ManualClock(), lambda _new: None)
    reloading.for_credentials()
    assert f"{name}: {pipe} is no file, and can be read once only; to change it mount again" in said(caplog)[0]
    is_second = reloading.credentials.secret.reveal() == "second"
    assert (is_second, len(config.keyring)) == ((False, 2) if name == "credentials" else (True, 1))


def test_a_deleted_file_keeps_the_old(mount: Mounted, caplog: pytest.LogCaptureFixture) -> None:
    mount.file.unlink()
    mount.reloading.for_credentials()
    assert "cannot be read: No such file" in said(caplog)[0]
    assert mount.used == []


def test_a_key_that_came_and_cannot_be_opened_is_said(mount: Mounted, caplog: pytest.LogCaptureFixture) -> None:
    mount.home.write("keys/b.pem", pem(1, b"phrase"))
    for _ in range(2):
        mount.clock.sleep(60)
        mount.reloading.for_credentials()
    assert said(caplog) == [f"passed over: {mount.home.path}/keys/b.pem is encrypted; give private_key_passphrase_file"]
    assert mount.config.keyring.shortcomings() != []


def test_secrets_of_the_environment_cannot_change(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "twfs")
    mount = Mounted(home, ENVIRONMENT)
    mount.reloading.look_now()
    (line,) = said(caplog)
    assert line.startswith(
        "credentials and private keys are as they were; the TWILIO_* environment variables are those"
    )


def test_relative_paths_are_found_from_another_folder(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon changes to `/`, and the folder where it was started may be gone by then."""
    home.write("c", credentials("first"))
    home.write("keys/a.pem", pem(0))
    home.write("config.toml", "[profiles.default]\ntimeout = 7\n")
    monkeypatch.chdir(home.path)
    overrides = {"private_key": "keys", "config": "config.toml"}
    config = home.load(overrides=overrides, environ={"TWFS_CREDENTIALS": "c", "HOME": "."})
    monkeypatch.chdir("/")
    home.write("c", credentials("second"))
    account, found = config.again.credentials()
    assert (account, found.secret.reveal(), len(config.again.keyring())) == (ACCOUNT, "second", 1)


def test_a_folder_that_is_gone_matters_to_relative_paths_only(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    file = home.write("c", credentials("first"))
    config = home.load(overrides={"credentials": str(file)}, environ={})
    os.chdir("/")
    assert config.again.credentials()[1].secret.reveal() == "first"


def test_the_configuration_shows_no_secret_of_the_environment_that_it_keeps(home: Home) -> None:
    config = home.load()
    assert "s3cret-of-env" not in f"{config!r}"
    assert config.again.credentials() == (config.account_sid, config.credentials)


@given(st.lists(st.sampled_from(["look", "look now", "replace", "break", "wait"]), max_size=30))
def test_in_whatever_order_things_happen_one_look_brings_all_up_to_date(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    mount = Mounted(Home(tmp_path_factory.mktemp("home")))
    intact = "first"
    for number, step in enumerate(steps):
        if step == "replace":
            intact = f"secret-{number}"
            mount.home.write("c", credentials(intact))
        elif step == "break":
            mount.home.write("c", "nonsense")
        elif step == "wait":
            mount.clock.sleep(1)
        else:
            (mount.reloading.for_credentials if step == "look" else mount.reloading.look_now)()
        in_use = mount.reloading.credentials.secret.reveal()
        assert mount.secrets[-1:] in ([], [in_use])
    intact = "last"
    mount.home.write("c", credentials(intact))
    mount.clock.sleep(1)
    mount.reloading.for_credentials()
    assert mount.reloading.credentials.secret.reveal() == mount.secrets[-1] == intact
