"""Faults of all kinds, so that one request in ten is disturbed."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from twfs.ranges import ByteRange
from twfs.simulator.exchange import Answer, Request, Slice
from twfs.simulator.faults import Fault
from twfs.simulator.server import Simulator

SHARE = 0.1
"""Of the requests of each kind."""

_HTML = "<html><body>sign in first</body></html>"
_ELSEWHERE = "https://media.example.com/RT?X-Amz-Signature=elsewhere"
_EXPIRED = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
_LARGE = "x" * 3_000_000


def is_probe(request: Request) -> bool:
    """Whether the last bytes are asked for: the look at an object that everything known of it comes from."""
    return request.headers.get("range", "").startswith("bytes=-")


def _is_read(request: Request) -> bool:
    return not is_probe(request)


def _shifted(answer: Answer) -> Answer:
    """The range after the one that was asked for, by its headers."""
    if not isinstance(answer.body, Slice):
        return answer
    part, total = answer.body.wanted, answer.body.source.size
    text = f"bytes {part.start + 16}-{part.end + 15}/{total}"
    return replace(answer, headers={**answer.headers, "Content-Range": text})


def _of_larger(answer: Answer) -> Answer:
    """A part of a larger object, by its headers."""
    if not isinstance(answer.body, Slice):
        return answer
    part, total = answer.body.wanted, answer.body.source.size
    return replace(
        answer, headers={**answer.headers, "Content-Range": f"bytes {part.start}-{part.end - 1}/{total + 16}"}
    )


def _whole(answer: Answer) -> Answer:
    """The whole object, as from a server that knows no ranges."""
    if not isinstance(answer.body, Slice):
        return answer
    source = answer.body.source
    headers = {name: value for name, value in answer.headers.items() if name != "Content-Range"}
    return Answer(200, headers, Slice(source, ByteRange(0, source.size)))


def _short(answer: Answer) -> Answer:
    """Fewer bytes than Content-Range promises, and Content-Length with them."""
    if not isinstance(answer.body, Slice):
        return answer
    return replace(answer, body=answer.body.read(0, max(1, len(answer.body) // 2)))


def _without_metadata(answer: Answer) -> Answer:
    kept = {name: value for name, value in answer.headers.items() if not name.startswith("x-amz-meta-")}
    return replace(answer, headers=kept)


NETWORK: Sequence[Callable[[str], Fault]] = (
    lambda on: Fault(on, reset_after=0),
    lambda on: Fault(on, reset_after=20),
    lambda on: Fault(on, close_after=0),
    lambda on: Fault(on, close_after=20),
    lambda on: Fault(on, stall_after=0),
    lambda on: Fault(on, delay=1.0),
    lambda on: Fault(on, status=500),
    lambda on: Fault(on, status=503, headers={"Retry-After": "1"}),
    lambda on: Fault(on, status=500, body=_LARGE),
)
"""What happens to any request."""

TWILIO: Sequence[Callable[[str], Fault]] = (
    *NETWORK,
    lambda on: Fault(on, status=401),
    lambda on: Fault(on, status=403),
    lambda on: Fault(on, status=429),
    lambda on: Fault(on, status=429, headers={"Retry-After": "1"}),
    lambda on: Fault(on, status=200, body=_HTML, headers={"Location": None}),
    lambda on: Fault(on, status=200, body='{"redirect_to": "https://', headers={"Location": None}),
    lambda on: Fault(on, status=302, headers={"Location": _ELSEWHERE}),
    lambda on: Fault(on, status=302, headers={"Location": "http://169.254.169.254/latest"}),
    lambda on: Fault(on, body="{", endless=True),
)

S3: Sequence[Fault] = (
    *(make("s3.get") for make in NETWORK),
    Fault("s3.get", status=403),
    Fault("s3.get", status=400, body=_EXPIRED),
    Fault("s3.get", status=404),
    Fault("s3.get", status=412),
    Fault("s3.get", reset_after=30_000),
    Fault("s3.get", close_after=100_000),
    Fault("s3.get", stall_after=50_000),
    Fault("s3.get", rate=10_000),
    Fault("s3.get", body=_HTML),
    # Lies about the whole object, told when it is first looked at, cannot be found out (see tests/faults).
    Fault("s3.get", match=_is_read, status=416),
    Fault("s3.get", match=_is_read, alter=_shifted),
    Fault("s3.get", match=_is_read, alter=_of_larger),
    Fault("s3.get", match=_is_read, alter=_whole),
    Fault("s3.get", match=_is_read, alter=_short),
    Fault("s3.get", match=_is_read, alter=_without_metadata),
    Fault("s3.get", match=_is_read, headers={"ETag": '"other"'}),
    Fault("s3.get", match=_is_read, headers={"ETag": None}),
    Fault("s3.get", match=_is_read, headers={"x-amz-meta-x-amz-iv": "!", "x-amz-meta-x-amz-key": ""}),
)


def begin_storm(simulator: Simulator) -> None:
    """Disturb one request in ten of each kind from now on, all faults alike."""
    kinds = {on: [make(on) for make in TWILIO] for on in ("api.list", "api.fetch", "api.media")} | {"s3.get": list(S3)}
    kinds["api.media"].append(Fault("api.media", status=404))
    for faults in kinds.values():
        # Faults are asked one after the other whether they strike.
        chance = 1 - (1 - SHARE) ** (1 / len(faults))
        for fault in faults:
            simulator.inject(replace(fault, times=None, chance=chance))
