import threading
from pathlib import Path

import pytest

from tests.export.rig import expected, is_of_bytes, listed, tree
from twfs.cli.simulated import Simulated
from twfs.export.here import export_here
from twfs.export.job import Job, Order, carry_out, examine, name_of
from twfs.export.outcome import Ending, Outcome, Report
from twfs.mount.session import Session
from twfs.resources import Medium
from twfs.simulator.account import BucketObject
from twfs.simulator.faults import Fault
from twfs.simulator.samples import HOSTILE_TRACK_NAME
from twfs.transfer.reader_pool import ReaderPool


def exported(simulated: Simulated, destination: Path | str, **options: str) -> Report:
    with listed(simulated, **options) as (session, media):
        return Report(str(destination), list(export_here(session, media, Order(str(destination)))))


def job_of(session: Session, media: list[Medium], track_name: str) -> Job:
    found = examine(session, next(medium for medium in media if medium.track_name == track_name))
    assert isinstance(found, Job)
    return found


def reason(report: Report, ending: Ending, part: str = "") -> str:
    (outcome,) = [outcome for outcome in report.outcomes if outcome.ending is ending and part in outcome.name]
    return outcome.reason


def test_all_media_under_the_names_of_by_date(simulated: Simulated, tmp_path: Path) -> None:
    report = exported(simulated, tmp_path / "x")
    with listed(simulated) as (_, media):
        there = expected(simulated, media)
        assert tree(tmp_path / "x") == there
        assert len(report.outcomes) == len(media)
        for medium in media:
            for path in (tmp_path / "x").rglob(f"*{medium.sid}*"):
                assert path.stat().st_mtime == medium.changed_at
    assert (report.count(Ending.WRITTEN), report.count(Ending.SKIPPED), report.count(Ending.FAILED)) == (11, 1, 1)
    assert report.written_bytes == sum(map(len, there.values()))
    assert reason(report, Ending.SKIPPED) == "Twilio has no media for it"
    assert reason(report, Ending.FAILED).startswith("the private key at hand does not fit")


def test_hostile_name_stays_below_the_destination(simulated: Simulated, tmp_path: Path) -> None:
    exported(simulated, tmp_path / "x")
    with listed(simulated) as (_, media):
        (medium,) = [medium for medium in media if medium.track_name == HOSTILE_TRACK_NAME]
    (path,) = (tmp_path / "x").rglob(f"*{medium.sid}*")
    assert path.parent.parent.parent.parent == tmp_path / "x"
    assert path.name.isprintable()


def test_what_is_there_is_not_fetched_again(simulated: Simulated, tmp_path: Path) -> None:
    exported(simulated, tmp_path / "x")
    before = tree(tmp_path / "x")
    times = {path: path.stat().st_ctime_ns for path in (tmp_path / "x").rglob("*")}
    objects = simulated.simulator.count("s3")
    report = exported(simulated, tmp_path / "x")
    assert (report.count(Ending.WRITTEN), report.count(Ending.SKIPPED), report.count(Ending.FAILED)) == (0, 12, 1)
    assert simulated.simulator.count("s3") == objects
    assert tree(tmp_path / "x") == before
    assert {path: path.stat().st_ctime_ns for path in times} == times


def test_what_is_incomplete_is_written_again(simulated: Simulated, tmp_path: Path) -> None:
    exported(simulated, tmp_path / "x")
    before = tree(tmp_path / "x")
    short = tmp_path / "x" / min(before)
    short.write_bytes(before[min(before)][:-1])
    report = exported(simulated, tmp_path / "x")
    assert report.count(Ending.WRITTEN) == 1
    assert tree(tmp_path / "x") == before


def test_network_that_fails_leaves_nothing_and_the_others_are_written(simulated: Simulated, tmp_path: Path) -> None:
    with listed(simulated) as (session, media):
        (medium,) = [medium for medium in media if medium.track_name == "erin-screen"]
        for each in media:
            examine(session, each)
    # Not 5000 bytes each time: those who are patient would have it whole in the end.
    simulated.simulator.inject(Fault("s3.get", reset_after=5000, match=medium.sid))
    simulated.simulator.inject(Fault("s3.get", reset_after=0, times=None, match=medium.sid))
    report = exported(simulated, tmp_path / "x", timeout="2")
    assert report.count(Ending.WRITTEN) == 10
    assert medium.sid not in "".join(tree(tmp_path / "x"))
    assert reason(report, Ending.FAILED, medium.sid)


@pytest.mark.parametrize("forgotten", [False, True])
def test_deleted_media_are_no_failure(forgotten: bool, simulated: Simulated, tmp_path: Path) -> None:
    with listed(simulated) as (session, media), ReaderPool(session) as pool:
        job = job_of(session, media, "erin-screen")
        account = simulated.simulator.account
        account.forget(job.medium.sid) if forgotten else account.delete(job.medium.sid)
        outcome = carry_out(pool, job, Order(str(tmp_path / "x")), threading.Event())
    assert (outcome.ending, outcome.reason) == (Ending.SKIPPED, "it was deleted at Twilio")
    assert tree(tmp_path / "x") == {}


def test_object_that_was_replaced_is_looked_at_anew(simulated: Simulated, tmp_path: Path) -> None:
    account, names = simulated.simulator.account, ("erin-screen", "erin-voice", "dave-lost-key")
    with listed(simulated) as (_, media):
        screen, voice, lost = (next(medium for medium in media if medium.track_name == name) for name in names)
    exported(simulated, tmp_path / "before")
    for medium, stored in ((screen, account.medium(voice.sid).stored), (voice, account.medium(lost.sid).stored)):
        account.replace(medium.sid, stored)
    report = exported(simulated, tmp_path / "x")
    assert report.count(Ending.WRITTEN) == 10
    assert tree(tmp_path / "x")[name_of(screen)] == account.plain(screen.sid)
    assert reason(report, Ending.FAILED, voice.sid).startswith("the private key at hand does not fit")
    # It is known for good now.
    report = exported(simulated, tmp_path / "x")
    assert (report.count(Ending.WRITTEN), reason(report, Ending.SKIPPED, screen.sid)) == (0, "it is there already")


def test_object_that_is_another_one_whenever_it_is_read_is_a_failure(simulated: Simulated, tmp_path: Path) -> None:
    with listed(simulated) as (_, media):
        (medium,) = [medium for medium in media if medium.track_name == "erin-screen"]
    simulated.simulator.inject(
        Fault("s3.get", status=412, times=None, match=lambda r: medium.sid in r.path and is_of_bytes(r))
    )
    report = exported(simulated, tmp_path / "x")
    assert reason(report, Ending.FAILED, medium.sid) == "the object changed while open"
    assert medium.sid not in "".join(tree(tmp_path / "x"))


class Altered:
    """An object with one bit turned over, under its old ETag."""

    def __init__(self, original: BucketObject) -> None:
        self.size, self.etag = original.size, original.etag
        self.metadata, self.content_type = original.metadata, original.content_type
        self._data = bytearray(original.read(0, original.size))
        self._data[1000] ^= 1

    def read(self, start: int, end: int) -> bytes:
        return bytes(self._data[start:end])


@pytest.mark.parametrize(("with_md5", "ending"), [(True, Ending.FAILED), (False, Ending.WRITTEN)])
def test_altered_byte_is_noticed_where_the_etag_is_an_md5(
    with_md5: bool, ending: Ending, simulated: Simulated, tmp_path: Path
) -> None:
    account = simulated.simulator.account
    with listed(simulated) as (session, media), ReaderPool(session) as pool:
        job = job_of(session, media, "erin-screen")
        stored = account.medium(job.medium.sid).stored
        assert stored is not None
        account.replace(job.medium.sid, Altered(stored))
        order = Order(str(tmp_path / "x"), with_md5=with_md5)
        outcome = carry_out(pool, job, order, threading.Event())
    assert outcome.ending is ending
    assert len(tree(tmp_path / "x")) == (1 if ending is Ending.WRITTEN else 0)


def test_destination_that_fails_is_a_row_of_the_report(simulated: Simulated, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    report = exported(simulated, tmp_path / "file")
    assert report.count(Ending.WRITTEN) == 0
    assert len(report.outcomes) == 13
    told = {outcome.reason for outcome in report.outcomes if outcome.is_shared}
    assert told == {f"{tmp_path / 'file'}: Not a directory: name a folder"}


def test_called_off(simulated: Simulated, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with listed(simulated) as (session, media), ReaderPool(session) as pool:
        outcome = carry_out(pool, job_of(session, media, "erin-screen"), Order(str(tmp_path / "x")), stop)
    assert outcome.ending is Ending.FAILED
    assert tree(tmp_path / "x") == {}


def test_report_as_json() -> None:
    written = Outcome("RT1", "2017/b", Ending.WRITTEN, plain_size=10)
    failed = Outcome("RT2", "2017/a", Ending.FAILED, "why")
    assert Report("s3://b", [written, failed]).record() == {
        "destination": "s3://b",
        "written": 1,
        "skipped": 0,
        "failed": 1,
        "written_bytes": 10,
        "media": [
            {"sid": "RT2", "name": "2017/a", "outcome": "failed", "reason": "why", "size": None},
            {"sid": "RT1", "name": "2017/b", "outcome": "written", "reason": None, "size": 10},
        ],
    }
