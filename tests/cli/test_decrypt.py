"""Against files made by openssl, with the commands of Twilio's document."""

import base64
import hashlib
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.running import SECONDS, Account, twfs
from tests.cli.test_get import of_track
from tests.mount.harness import wait_for
from tests.transfer.generated import generated
from twfs.cli.main import main
from twfs.simulator.faults import Fault
from twfs.simulator.sealing import sealing_key

MIB = 2**20
PLAIN = random.Random(4).randbytes(746518)


def openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@dataclass
class Made:
    """What is at hand after following the document, and what it was made of."""

    folder: Path
    bits: int

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)

    def base64(self, name: str) -> str:
        return base64.b64encode((self.folder / name).read_bytes()).decode()

    @property
    def header_lines(self) -> list[str]:
        return [
            f'ETag: "{hashlib.md5((self.folder / "encrypted").read_bytes()).hexdigest()}"',
            f"x-amz-meta-x-amz-key: {self.base64('key.bin.enc')}",
            f"x-amz-meta-x-amz-iv: {self.base64('iv.bin')}",
            "x-amz-meta-x-amz-matdesc: {}",
            f"x-amz-meta-x-amz-unencrypted-content-length: {len(PLAIN)}",
            f"Content-Length: {(self.folder / 'encrypted').stat().st_size}",
        ]


@pytest.fixture(scope="session", params=[(256, "pkeyutl"), (128, "rsautl")])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    bits, wrap = request.param
    place = Made(tmp_path_factory.mktemp("openssl"), bits)
    (place.folder / "plain").write_bytes(PLAIN)
    openssl("genrsa", "-traditional", "-out", place["private_key.pem"], "2048")
    openssl("rsa", "-in", place["private_key.pem"], "-pubout", "-out", place["public_key.pem"])
    openssl("genrsa", "-traditional", "-out", place["other_key.pem"], "2048")
    openssl("rand", "-out", place["key.bin"], str(place.bits // 8))
    openssl("rand", "-out", place["iv.bin"], "16")
    key, iv = ((place.folder / name).read_bytes().hex() for name in ("key.bin", "iv.bin"))
    cipher = f"-aes-{place.bits}-cbc"
    openssl("enc", cipher, "-K", key, "-iv", iv, "-in", place["plain"], "-out", place["encrypted"])
    wrapped = ["-in", place["key.bin"], "-out", place["key.bin.enc"]]
    openssl(wrap, "-encrypt", "-pubin", "-inkey", place["public_key.pem"], *wrapped)
    pkcs8 = ["pkcs8", "-topk8", "-in", place["private_key.pem"], "-out"]
    openssl(*pkcs8, place["pkcs8.pem"], "-nocrypt")
    openssl(*pkcs8, place["locked.pem"], "-passout", "pass:secret")
    (place.folder / "passphrase").write_text("secret\n")
    for name in ("private_key.pem", "other_key.pem", "pkcs8.pem", "locked.pem", "passphrase"):
        (place.folder / name).chmod(0o600)
    return place


def decrypt(made: Made, out: Path, *words: str, key: str = "private_key.pem") -> int:
    return main(["decrypt", made["encrypted"], "-o", str(out), "--private-key", made[key], *words])


def test_files_of_the_document(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--key-file", made["key.bin.enc"], "--iv-file", made["iv.bin"]]
    assert decrypt(made, tmp_path / "plain", *files) == 0
    assert (tmp_path / "plain").read_bytes() == PLAIN
    assert (
        f"{len(PLAIN)} bytes  no MD5 to compare (no ETag of S3)  key {made['private_key.pem']}"
        in capsys.readouterr().out
    )


def test_values_of_the_headers(made: Made, tmp_path: Path) -> None:
    values = ["--key", made.base64("key.bin.enc"), "--iv", made.base64("iv.bin")]
    assert decrypt(made, tmp_path / "plain", *values) == 0
    assert (tmp_path / "plain").read_bytes() == PLAIN


@pytest.mark.parametrize("indent", ["", "  "])
def test_saved_headers(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], indent: str) -> None:
    lines = ["HTTP/1.1 302 Found", "Content-Length: 0", "", "HTTP/1.1 200 OK", *made.header_lines]
    (tmp_path / "headers").write_text("".join(f"{indent}{line}\n" for line in lines))
    assert decrypt(made, tmp_path / "plain", "--headers", str(tmp_path / "headers")) == 0
    assert (tmp_path / "plain").read_bytes() == PLAIN
    assert "md5 ok" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "words"), [("pkcs8.pem", []), ("locked.pem", ["--private-key-passphrase-file", "passphrase"])]
)
def test_forms_of_private_keys(made: Made, tmp_path: Path, key: str, words: list[str]) -> None:
    files = ["--key-file", made["key.bin.enc"], "--iv-file", made["iv.bin"]]
    passphrase = [made[word] if word == "passphrase" else word for word in words]
    # The key that does not fit stands first.
    keys = f"{made['other_key.pem']}:{made[key]}"
    words = ["decrypt", made["encrypted"], "-o", str(tmp_path / "plain"), "--private-key", keys, *files, *passphrase]
    assert main(words) == 0
    assert (tmp_path / "plain").read_bytes() == PLAIN


def test_keys_of_the_usual_folder(made: Made, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--key-file", made["key.bin.enc"], "--iv-file", made["iv.bin"]]
    words = ["decrypt", made["encrypted"], "-o", str(tmp_path / "plain"), *files]
    assert main(words) == 2
    assert "give --private-key PEM, or put it into" in capsys.readouterr().err
    folder = home / ".config/twfs/keys"
    folder.mkdir(parents=True)
    (folder / "mine.pem").touch(0o600)
    (folder / "mine.pem").write_bytes((made.folder / "private_key.pem").read_bytes())
    assert main(words) == 0


def test_wrong_key(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--key-file", made["key.bin.enc"], "--iv-file", made["iv.bin"]]
    assert decrypt(made, tmp_path / "plain", *files, key="other_key.pem") == 1
    assert "the private key at hand does not fit" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_wrong_iv_is_the_first_block_and_nothing_knows(made: Made, tmp_path: Path) -> None:
    """CBC: only an MD5 of the plaintext would tell, and there is none."""
    wrong_iv = ["--key-file", made["key.bin.enc"], "--iv", base64.b64encode(bytes(16)).decode()]
    assert decrypt(made, tmp_path / "plain", *wrong_iv) == 0
    assert (tmp_path / "plain").read_bytes()[16:] == PLAIN[16:]


@pytest.mark.parametrize("cut", [1, 16, 4096])
def test_truncated_file(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], cut: int) -> None:
    (tmp_path / "headers").write_text("\n".join(["HTTP/1.1 200 OK", *made.header_lines]))
    encrypted = tmp_path / "encrypted"
    encrypted.write_bytes((made.folder / "encrypted").read_bytes()[:-cut])
    words = ["decrypt", str(encrypted), "-o", str(tmp_path / "plain"), "--private-key", made["private_key.pem"]]
    assert main([*words, "--headers", str(tmp_path / "headers")]) == 1
    assert "its headers say" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encrypted", "headers"]


def test_changed_byte(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "headers").write_text("\n".join(["HTTP/1.1 200 OK", *made.header_lines]))
    changed = bytearray((made.folder / "encrypted").read_bytes())
    changed[100_000] ^= 1
    (tmp_path / "encrypted").write_bytes(changed)
    keys = ["--private-key", made["private_key.pem"], "--headers", str(tmp_path / "headers")]
    words = ["decrypt", str(tmp_path / "encrypted"), *keys, "-o"]
    assert main([*words, str(tmp_path / "plain")]) == 1
    assert "is not the ETag" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encrypted", "headers"]
    assert main([*words, str(tmp_path / "plain"), "--no-md5"]) == 0


def test_standard_output_gets_nothing_before_the_proof(made: Made) -> None:
    words = [sys.executable, "-m", "twfs", "decrypt", made["encrypted"], "-o", "-", "--iv-file", made["iv.bin"]]
    words += ["--key-file", made["key.bin.enc"], "--private-key"]
    good = subprocess.run([*words, made["private_key.pem"]], capture_output=True, check=True)
    assert (good.stdout, good.stderr) == (PLAIN, b"")
    bad = subprocess.run([*words, made["other_key.pem"]], capture_output=True, check=False)
    assert (bad.returncode, bad.stdout) == (1, b"")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "give --headers FILE, or one of --key"),
        (["--key", "a2V5"], "give --headers FILE, or one of --key"),
        (["--key", "a", "--key-file", "b", "--iv", "c"], "give --headers FILE, or one of --key"),
        (["--headers", "h", "--iv", "c"], "give either it, or these"),
    ],
)
def test_usage(words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decrypt", str(tmp_path / "e"), "-o", str(tmp_path / "p"), *words]) == 2
    assert complaint in capsys.readouterr().err


def test_neither_input_nor_device_is_overwritten(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--key-file", made["key.bin.enc"], "--iv-file", made["iv.bin"]]
    assert decrypt(made, Path(made["encrypted"]), *files) == 2
    assert "is itself one of the files to read" in capsys.readouterr().err
    assert decrypt(made, Path("/dev/null"), *files) == 2
    assert not Path("/dev/null").is_file()


def test_a_folder_is_no_place_for_the_plaintext(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    files = ["--key-file", made["key.bin.enc"], "--iv-file", made["iv.bin"], "--private-key", made["private_key.pem"]]
    for folder in (".", "..", "/", str(tmp_path), "new/"):
        assert main(["decrypt", made["encrypted"], "-o", folder, *files]) == 2
        assert f"-o {folder} is a folder; name the file in it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["private_key.pem", "passphrase", "headers", "key.bin.enc", "iv.bin"])
@pytest.mark.parametrize("in_folder", [False, True])
def test_nothing_that_is_read_is_overwritten(made: Made, tmp_path: Path, name: str, *, in_folder: bool) -> None:
    for each in ("private_key.pem", "passphrase", "key.bin.enc", "iv.bin"):
        shutil.copy(made[each], tmp_path)
    (tmp_path / "headers").write_text("\n".join(made.header_lines))
    before = (tmp_path / name).read_bytes()
    files = ["--key-file", str(tmp_path / "key.bin.enc"), "--iv-file", str(tmp_path / "iv.bin")]
    envelope = ["--headers", str(tmp_path / "headers")] if name == "headers" else files
    keys = ["--private-key", str(tmp_path if in_folder else tmp_path / "private_key.pem")]
    keys += ["--private-key-passphrase-file", str(tmp_path / "passphrase")]
    assert main(["decrypt", made["encrypted"], "-o", str(tmp_path / name), *envelope, *keys]) == 2
    assert (tmp_path / name).read_bytes() == before


def test_object_as_the_service_hands_it_out(account: Account, tmp_path: Path) -> None:
    """The fifth step of Twilio's document: the URL with credentials, then the object without."""
    sid = of_track(account, "erin-screen")
    simulator = account.simulated.simulator
    login = base64.b64encode(f"{simulator.account.api_key}:{simulator.account.api_secret}".encode()).decode()
    service = http.client.HTTPConnection(simulator.url.removeprefix("http://"))
    with closing(service):
        service.request("GET", f"/v1/Recordings/{sid}/Media", headers={"Authorization": f"Basic {login}"})
        signed_url = json.load(service.getresponse())["redirect_to"]
    with urllib.request.urlopen(signed_url, timeout=SECONDS) as answer:
        (tmp_path / "headers").write_text(f"HTTP/1.1 {answer.status} {answer.reason}\r\n{answer.headers}")
        (tmp_path / "encrypted").write_bytes(answer.read())
    key = str(account.simulated.folder / "private_key.pem")
    words = ["decrypt", str(tmp_path / "encrypted"), "--headers", str(tmp_path / "headers"), "--private-key", key]
    assert main([*words, "-o", str(tmp_path / "plain")]) == 0
    assert (tmp_path / "plain").read_bytes() == simulator.account.plain(sid)


# As users run them: headers on standard error or output, or in a file of their own; `2>&1` also among the body.
FETCHES = {
    "curl -v": "curl -sS -v -L -u {login} -o encrypted {url} 2> headers",
    "curl -v with its meter": "curl -v -L -u {login} -o encrypted {url} 2> headers",
    "curl -D": "curl -sS -L -u {login} -D headers -o encrypted {url}",
    "curl -i": "curl -sS -L -u {login} -i {url} > headers && tail -c 760208 headers > encrypted",
    "curl -iv": "curl -L -u {login} -iv {url} > headers 2>&1 && curl -sS -L -u {login} -o encrypted {url}",
    "wget -S": "wget -S --user {user} --password {secret} -O encrypted {url} 2> headers",
}


@pytest.mark.parametrize("how", FETCHES)
def test_what_curl_and_wget_fetch_and_print(account: Account, tmp_path: Path, how: str) -> None:
    tool, _, _ = how.partition(" ")
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    simulator, sid = account.simulated.simulator, of_track(account, "erin-screen")
    user, secret = simulator.account.api_key, simulator.account.api_secret
    url = f"{simulator.url}/v1/Recordings/{sid}/Media"
    # Slow enough that the meter stands among the headers.
    simulator.inject(Fault("s3.get", delay=1.1, times=1))
    line = FETCHES[how].format(login=f"{user}:{secret}", user=user, secret=secret, url=url)
    subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True, timeout=SECONDS)
    words = ["decrypt", str(tmp_path / "encrypted"), "--headers", str(tmp_path / "headers")]
    key = str(account.simulated.folder / "private_key.pem")
    assert main([*words, "--private-key", key, "-o", str(tmp_path / "plain")]) == 0
    assert (tmp_path / "plain").read_bytes() == simulator.account.plain(sid)


def test_what_is_not_encrypted_is_said(account: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulator, sid = account.simulated.simulator, of_track(account, "bob-phone")
    login = f"{simulator.account.api_key}:{simulator.account.api_secret}"
    words = ["-L", "-u", login, "-v", "-o", str(tmp_path / "file"), f"{simulator.url}/v1/Recordings/{sid}/Media"]
    (tmp_path / "headers").write_bytes(subprocess.run(["curl", *words], check=True, capture_output=True).stderr)
    words = ["decrypt", str(tmp_path / "file"), "--headers", str(tmp_path / "headers"), "-o", str(tmp_path / "plain")]
    assert main(words) == 2
    assert "it is not encrypted; use the downloaded file as it is" in capsys.readouterr().err
    assert not (tmp_path / "plain").exists()


def test_memory_does_not_grow_with_the_file(made: Made, tmp_path: Path) -> None:
    def peak(size: int) -> int:
        large = generated(size, sealing_key((made.folder / "public_key.pem").read_bytes()))
        with (tmp_path / "encrypted").open("wb") as file:
            for start in range(0, size, MIB):
                file.write(large.read(start, min(start + MIB, size)))
        command = (
            "import resource, sys; from twfs.cli.main import main; code = main(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(code)"
        )
        values = [large.metadata[name] for name in ("x-amz-key", "x-amz-iv")]
        words = ["decrypt", str(tmp_path / "encrypted"), "-o", "-", "--private-key", made["private_key.pem"]]
        with (tmp_path / "plain").open("wb") as out:
            done = subprocess.run(
                [sys.executable, "-c", command, *words, "--key", values[0], "--iv", values[1]],
                stdout=out,
                stderr=subprocess.PIPE,
                check=True,
                env=os.environ,
            )
        with (tmp_path / "plain").open("rb") as plain:
            assert hashlib.file_digest(plain, "md5").hexdigest() == large.plain_md5()
        return int(done.stderr) * 1024

    assert peak(128 * MIB) < peak(2 * MIB) + 16 * MIB


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_plaintext(made: Made, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "out").mkdir()
    with (tmp_path / "encrypted").open("wb") as file:
        # All but its end is a hole: what that decrypts to is of no interest here.
        file.seek(2**30)
        file.write((made.folder / "encrypted").read_bytes()[-32:])
    # Whoever runs the tests in the background has some of these ignored, and so would this command.
    words = ["env", "--default-signal", sys.executable, "-m", "twfs", "decrypt", str(tmp_path / "encrypted")]
    words += ["-o", str(tmp_path / "out" / "plain"), "--private-key", made["private_key.pem"]]
    words += ["--key-file", made["key.bin.enc"], "--iv-file", made["iv.bin"]]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: any(path.stat().st_size for path in (tmp_path / "out").iterdir()))
    process.send_signal(number)
    assert process.communicate(timeout=SECONDS) == ("", "twfs: interrupted\n")
    assert process.returncode == 130
    assert list((tmp_path / "out").iterdir()) == []


def test_traceback_only_with_v(tmp_path: Path) -> None:
    words = ["decrypt", f"{tmp_path}/missing", "-o", f"{tmp_path}/p", "--key", "a", "--iv", "b", "--private-key", "/no"]
    assert "Traceback" not in twfs(*words).err
    assert "Traceback" in twfs(*words, "-vv").err
