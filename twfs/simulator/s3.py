"""The bucket: what S3 answers to a GET of a pre-signed URL."""

import secrets
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote
from xml.sax.saxutils import escape

from twfs.ranges import ByteRange
from twfs.simulator.account import SimulatedAccount, SimulatedMedium
from twfs.simulator.exchange import Answer, Request, Slice
from twfs.simulator.http_range import Unsatisfiable, parse_range
from twfs.simulator.objects import BucketObject
from twfs.simulator.signing import Refused, Signer

_PREFIX = "/bucket/"


class Bucket:
    """All objects of one account, at `/bucket/ACCOUNT/SID`."""

    def __init__(self, account: SimulatedAccount, signer: Signer) -> None:
        """Serves what `account` holds to URLs that `signer` signed."""
        self._account = account
        self._signer = signer
        self.base_url = ""
        """Where this bucket is reached; known once the server listens."""

    def signed_url(self, medium: SimulatedMedium, ttl: int, disposition: str | None) -> str:
        """A pre-signed URL of the medium's object, good for `ttl` seconds."""
        path = f"{_PREFIX}{quote(f'{self._account.account_sid}/{medium.sid}')}"
        host = self.base_url.removeprefix("http://")
        extra = {"response-content-disposition": disposition} if disposition else {}
        query = self._signer.sign(host, path, now=self._now(), ttl=ttl, extra=extra)
        return f"{self.base_url}{path}?{query}"

    def answer(self, request: Request) -> Answer:
        """What S3 answers."""
        # S3's words; it refuses rather than choose between the two signatures.
        if "authorization" in request.headers:
            return error(400, "InvalidArgument", "Only one auth mechanism allowed")
        try:
            host = request.headers.get("host", "")
            self._signer.check(request.method, host, request.path, request.query, self._now())
        except Refused as refused:
            return error(403, refused.code, refused.message, body=request.method != "HEAD")
        return self._object(request)

    def _object(self, request: Request) -> Answer:
        owner, _, sid = request.path.removeprefix(_PREFIX).partition("/")
        medium = self._account.find(sid) if owner == self._account.account_sid else None
        if medium is None or medium.stored is None:
            return error(404, "NoSuchKey", "The specified key does not exist.")
        stored = medium.stored
        wanted_etag = request.headers.get("if-match")
        if wanted_etag not in (None, "*", f'"{stored.etag}"', stored.etag):
            return error(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        try:
            part = parse_range(request.headers.get("range"), stored.size)
        except Unsatisfiable:
            return _unsatisfiable(stored, request.headers["range"])
        headers = _headers(medium, stored)
        if "response-content-disposition" in request.parameters:
            headers["Content-Disposition"] = request.parameters["response-content-disposition"]
        if part is None:
            return Answer(200, headers, Slice(stored, ByteRange(0, stored.size)))
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{stored.size}"
        return Answer(206, headers, Slice(stored, part))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._account.clock.wall(), UTC)


def error(status: int, code: str, message: str, *, detail: str = "", body: bool = True) -> Answer:
    """S3's XML error."""
    request_id = secrets.token_hex(8).upper()
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{detail}"
        f"<RequestId>{request_id}</RequestId></Error>"
    )
    headers = {"Content-Type": "application/xml", "x-amz-request-id": request_id, "Server": "AmazonS3"}
    return Answer(status, headers, text.encode() if body else b"")


def _unsatisfiable(stored: BucketObject, header: str) -> Answer:
    detail = f"<RangeRequested>{escape(header)}</RangeRequested><ActualObjectSize>{stored.size}</ActualObjectSize>"
    return error(416, "InvalidRange", "The requested range is not satisfiable", detail=detail)


def _headers(medium: SimulatedMedium, stored: BucketObject) -> dict[str, str]:
    modified = medium.date_completed or medium.date_created
    return {
        "Content-Type": stored.content_type,
        "ETag": f'"{stored.etag}"',
        "Accept-Ranges": "bytes",
        "Last-Modified": format_datetime(modified.astimezone(UTC), usegmt=True),
        "Server": "AmazonS3",
        "x-amz-request-id": secrets.token_hex(8).upper(),
        **{f"x-amz-meta-{name}": value for name, value in stored.metadata.items()},
    }
