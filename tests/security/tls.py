"""A certificate authority of a test's own, and TLS in front of any server."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Whom a client is told to trust, or not."""

    def __init__(self, folder: Path, name: str) -> None:
        """Writes `NAME.pem`, what clients are given."""
        self._folder = folder
        self._key = generate_private_key(SECP256R1())
        self._name = _name(name)
        certificate = self._builder(self._name, self._key, datetime.now(UTC) + _DAY).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        signed = certificate.add_extension(usage, critical=True).sign(self._key, SHA256())
        self.bundle = folder / f"{name}.pem"
        self.bundle.write_bytes(signed.public_bytes(Encoding.PEM))

    def server_context(self, host: str, *, days: int = 1) -> ssl.SSLContext:
        """For a server called `host`, which may be an address; with `days` below 0 its certificate has expired."""
        key = generate_private_key(SECP256R1())
        try:
            name: x509.GeneralName = x509.IPAddress(ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        builder = self._builder(_name(host), key, datetime.now(UTC) + days * _DAY)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
        certificate = builder.add_extension(issuer, critical=False).sign(self._key, SHA256())
        chain = self._folder / f"{host}-{days}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def _builder(self, subject: x509.Name, key: EllipticCurvePrivateKey, end: datetime) -> x509.CertificateBuilder:
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).add_extension(identifier, critical=False)
        return builder.not_valid_before(end - 10 * _DAY).not_valid_after(end)


@contextmanager
def tls_in_front_of(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """A port on 127.0.0.1 that speaks TLS and passes on, decrypted, to `port`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, port, context), daemon=True).start()
        yield int(listening.getsockname()[1])
        # A thread in accept() is woken by this, and not by close().
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, port: int, context: ssl.SSLContext) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, port, context), daemon=True).start()


def _serve(client: socket.socket, port: int, context: ssl.SSLContext) -> None:
    """One connection; a client that does not like the certificate ends it at once."""
    with (
        suppress(OSError),
        context.wrap_socket(client, server_side=True) as plain,
        socket.create_connection(("127.0.0.1", port)) as server,
    ):
        relay(plain, server)


def relay(one: socket.socket, other: socket.socket) -> None:
    """Pass on both ways, until both ends have ended."""
    back = threading.Thread(target=_pass_on, args=(other, one), daemon=True)
    back.start()
    _pass_on(one, other)
    back.join()


def _pass_on(source: socket.socket, goal: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            goal.sendall(piece)
    with suppress(OSError):
        goal.shutdown(socket.SHUT_RDWR)
