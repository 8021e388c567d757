"""A service that agrees to everything and keeps nothing, in a process of its own.

It answers the calls of a push with just-valid replies and throws bodies away inside the kernel, so that what
is measured is the client. ``Sink`` starts one; the process itself is this module, run as a program.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import ssl
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import attrs

from tests.tools.benchmarks.process import cpu_seconds

if TYPE_CHECKING:
    from types import TracebackType

    from tests.tools.benchmarks.certificate import Certificate

PART_SIZE: Final = 20 * 1024 * 1024
ROOT = Path(__file__).parents[3]
_TARGET = "SpencerFrontendService."
_TALLY = "Sink.Tally"
_SCRATCH = 1024 * 1024
_HEAD = 64 * 1024
_SMALL = 4 * 1024 * 1024


@attrs.define
class Tally:
    """What arrived since it was last asked for.

    Attributes:
        part_bytes: Bytes in the bodies of UploadLayerPart.
        parts: Calls of UploadLayerPart.
        completed: Calls of CompleteLayerUpload.
        images: Calls of PutImage.
        cpu: Seconds of CPU that the sink took.
    """

    part_bytes: int = 0
    parts: int = 0
    completed: int = 0
    images: int = 0
    cpu: float = 0.0


class Sink:
    """A running sink, as a context manager.

    Args:
        certificate: What it shows; ``None`` is plain HTTP.
    """

    def __init__(self, certificate: Certificate | None = None) -> None:
        self._certificate = certificate
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def endpoint_url(self) -> str:
        """Where clients send to."""
        return f"{'http' if self._certificate is None else 'https'}://127.0.0.1:{self.port}"

    def tally(self) -> Tally:
        """What arrived since the last time."""
        request = f"POST / HTTP/1.1\r\nX-Amz-Target: {_TALLY}\r\nContent-Length: 0\r\n\r\n"
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", self.port)))
            if self._certificate is not None:
                context = ssl.create_default_context(cafile=self._certificate.authority)
                connection = stack.enter_context(context.wrap_socket(connection, server_hostname="127.0.0.1"))
            connection.sendall(request.encode())
            reply = connection.recv(_HEAD)
        return Tally(**json.loads(reply.partition(b"\r\n\r\n")[2]))

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", __name__]
        if self._certificate is not None:
            command += ["--certificate", self._certificate.chain, "--key", self._certificate.key]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the sink did not start")
        self.port = int(line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()


class _Counting:
    """The tally, shared by the threads of all connections."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tally = Tally()
        self._cpu_before = cpu_seconds()

    def count(self, operation: str, length: int) -> None:
        with self._lock:
            match operation:
                case "UploadLayerPart":
                    self._tally.parts += 1
                    self._tally.part_bytes += length
                case "CompleteLayerUpload":
                    self._tally.completed += 1
                case "PutImage":
                    self._tally.images += 1

    def take(self) -> Tally:
        with self._lock:
            taken, self._tally = self._tally, Tally()
            now = cpu_seconds()
            taken.cpu, self._cpu_before = now - self._cpu_before, now
            return taken


class _Connection(threading.Thread):
    def __init__(
        self, connection: socket.socket, context: ssl.SSLContext | None, counting: _Counting
    ) -> None:
        super().__init__(daemon=True)
        self._connection = connection
        self._context = context
        self._counting = counting
        self._scratch = bytearray(_SCRATCH)
        self._rest = b""

    def run(self) -> None:
        with contextlib.suppress(OSError):
            if self._context is not None:
                self._connection = self._context.wrap_socket(self._connection, server_side=True)
            with self._connection:
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while self._serve_one():
                    pass

    def _serve_one(self) -> bool:
        head = self._read_head()
        if head is None:
            return False
        headers = _headers(head)
        target = headers.get("x-amz-target", "")
        operation = target.removeprefix(_TARGET)
        length = int(headers.get("content-length", "0"))
        if target == _TALLY:
            return self._reply(attrs.asdict(self._counting.take()))
        self._counting.count(operation, length)
        if operation == "UploadLayerPart":
            self._discard(length)
            return self._reply({})
        if length > _SMALL:
            raise OSError(f"{operation} with {length} bytes")
        return self._reply(_answer(operation, json.loads(self._read(length))))

    def _read_head(self) -> bytes | None:
        data = self._rest
        while (end := data.find(b"\r\n\r\n")) < 0:
            piece = self._connection.recv(_HEAD)
            if not piece:
                return None
            data += piece
        self._rest = data[end + 4 :]
        return data[:end]

    def _read(self, length: int) -> bytes:
        pieces = [self._rest]
        missing = length - len(self._rest)
        self._rest = b""
        while missing > 0:
            piece = self._connection.recv(missing)
            if not piece:
                raise OSError("cut off")
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _discard(self, length: int) -> None:
        missing = length - len(self._rest)
        self._rest = b""
        # Linux drops the bytes without copying them (tcp(7)); what is encrypted has to be looked at.
        flags = 0 if isinstance(self._connection, ssl.SSLSocket) else socket.MSG_TRUNC
        while missing > 0:
            got = self._connection.recv_into(self._scratch, min(missing, _SCRATCH), flags)
            if not got:
                raise OSError("cut off")
            missing -= got

    def _reply(self, body: dict[str, Any]) -> bool:
        data = json.dumps(body).encode()
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n"
            f"x-amzn-RequestId: {uuid.uuid4()}\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        self._connection.sendall(head.encode() + data)
        return True


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.split(":", 1) for line in lines)
    return {name.strip().lower(): value.strip() for name, value in pairs}


def _answer(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    name = request.get("repositoryName", "")
    match operation:
        case "BatchCheckLayerAvailability":
            layers = [
                {"layerDigest": digest, "layerAvailability": "UNAVAILABLE"}
                for digest in request["layerDigests"]
            ]
            return {"layers": layers, "failures": []}
        case "InitiateLayerUpload":
            return {"uploadId": str(uuid.uuid4()), "partSize": PART_SIZE}
        case "CompleteLayerUpload":
            return {
                "registryId": "123456789012",
                "repositoryName": name,
                "uploadId": request["uploadId"],
                "layerDigest": request["layerDigests"][0],
            }
        case "PutImage":
            image = {
                "registryId": "123456789012",
                "repositoryName": name,
                "imageId": {"imageDigest": request["imageDigest"], "imageTag": request.get("imageTag")},
                "imageManifest": request["imageManifest"],
            }
            return {"image": image}
        case "DescribeRepositories":
            repositories = [
                {"repositoryName": wanted, "repositoryUri": f"public.ecr.aws/sink/{wanted}"}
                for wanted in request.get("repositoryNames", [])
            ]
            return {"repositories": repositories}
        case _:
            return {}


def main() -> None:
    """Serve until terminated; the port is the first line of the output."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    arguments = parser.parse_args()
    context = None
    if arguments.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.certificate, arguments.key)
    counting = _Counting()
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        sys.stdout.write(f"{server.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            connection, _ = server.accept()
            _Connection(connection, context, counting).start()


if __name__ == "__main__":
    main()
