"""An S3 made by others that holds objects sealed by others: moto's server and aioboto3's client-side encryption.

with MotoBucket() as bucket:
    bucket.seal("AC1/RT1", plain, public_key)
    url = bucket.presign("AC1/RT1")
"""

import asyncio
from typing import Any, Self

import boto3
from aioboto3.s3.cse import S3CSE, AsymmetricCryptoContext
from boto3.session import Config
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from moto.server import ThreadedMotoServer

LENGTH_HEADER = "x-amz-unencrypted-content-length"
SMALLEST_PART = 5 * 2**20
"""Of a multipart upload, except the last part (S3's limit)."""


class MotoBucket:
    """A bucket on 127.0.0.1, within `with`; its own server, in threads of this process."""

    def __init__(self, name: str = "com-twilio-us1-video-recording") -> None:
        """Not listening yet."""
        self.name = name
        self.url = ""
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._place: dict[str, Any] = {}
        self._client: Any = None

    def __enter__(self) -> Self:
        """Start the server, make the bucket."""
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self._place = {
            "endpoint_url": self.url,
            "region_name": "us-east-1",
            "aws_access_key_id": "testing",
            "aws_secret_access_key": "testing",
        }
        config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
        self._client = boto3.client("s3", config=config, **self._place)
        self._client.create_bucket(Bucket=self.name)
        return self

    def __exit__(self, *_: object) -> None:
        """Forget the objects, which moto keeps for the whole process, and stop."""
        for key in self.keys():
            self._client.delete_object(Bucket=self.name, Key=key)
        self._client.delete_bucket(Bucket=self.name)
        self._client.close()
        self._server.stop()

    def keys(self) -> list[str]:
        """Of all objects."""
        return [item["Key"] for item in self._client.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def seal(
        self,
        key: str,
        plain: bytes,
        public_key: RSAPublicKey,
        *,
        with_length: bool = True,
        in_parts: bool = False,
    ) -> None:
        """Put `plain` at `key`, encrypted by `S3CSE`: a content key of 256 bits, wrapped by RSA PKCS#1 v1.5.

        Without `with_length` the header that tells the plaintext's length is taken away; `in_parts` uploads the
        ciphertext in parts, which shows in the ETag.
        """
        asyncio.run(self._seal(key, plain, public_key))
        if with_length and not in_parts:
            return
        stored = self._client.get_object(Bucket=self.name, Key=key)
        metadata = {name: value for name, value in stored["Metadata"].items() if with_length or name != LENGTH_HEADER}
        put = self._put_in_parts if in_parts else self.put
        put(key, stored["Body"].read(), metadata)

    def put(
        self, key: str, data: bytes, metadata: dict[str, str] | None = None, *, encryption: str | None = None
    ) -> None:
        """Put an object as it is; `encryption` (`AES256`, `aws:kms`) is what the bucket does with it at rest."""
        how = {} if encryption is None else {"ServerSideEncryption": encryption}
        self._client.put_object(Bucket=self.name, Key=key, Body=data, Metadata=metadata or {}, **how)

    def presign(self, key: str, seconds: int = 3600) -> str:
        """A URL that gives access to GET for so long; moto checks neither signature nor expiry."""
        place = {"Bucket": self.name, "Key": key}
        return str(self._client.generate_presigned_url("get_object", Params=place, ExpiresIn=seconds))

    async def _seal(self, key: str, plain: bytes, public_key: RSAPublicKey) -> None:
        context = AsymmetricCryptoContext(public_key=public_key, loop=asyncio.get_running_loop())
        async with S3CSE(context, s3_client_args=self._place) as sealing:
            await sealing.put_object(Body=plain, Bucket=self.name, Key=key)

    def _put_in_parts(self, key: str, data: bytes, metadata: dict[str, str]) -> None:
        place = {"Bucket": self.name, "Key": key}
        upload = {**place, "UploadId": self._client.create_multipart_upload(**place, Metadata=metadata)["UploadId"]}
        parts = []
        for number, at in enumerate(range(0, len(data), SMALLEST_PART), start=1):
            body = data[at : at + SMALLEST_PART]
            etag = self._client.upload_part(**upload, PartNumber=number, Body=body)["ETag"]
            parts.append({"PartNumber": number, "ETag": etag})
        self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
