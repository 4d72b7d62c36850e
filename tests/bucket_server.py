"""A bucket of S3 on this machine: moto's server, in a process of its own.

with BucketServer() as server:
    server.put("a.nd2", data, public=False)
    open_bytes("s3://pictures/a.nd2", {"endpoint": server.endpoint, "key": "k", "secret": "s"})
"""

from __future__ import annotations

import urllib.request
from urllib.parse import quote

from tests.server_process import ServerProcess

BUCKET = "pictures"
_SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


class BucketServer:
    """The server, running between ``with`` and its end. It believes any credentials, but wants some."""

    def __enter__(self) -> BucketServer:
        self._process = ServerProcess(_SERVE)
        self.endpoint = f"http://127.0.0.1:{self._process.port}"
        self._send(f"/{BUCKET}", b"")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def put(self, key: str, data: bytes, *, public: bool = True) -> str:
        """Store an object, for everybody or only for those with credentials; its URL."""
        self._send(f"/{BUCKET}/{quote(key)}", data, "public-read" if public else "private")
        return f"s3://{BUCKET}/{key}"

    def _send(self, path: str, data: bytes, acl: str = "private") -> None:
        headers = {"x-amz-acl": acl, "Content-Type": "application/octet-stream"}
        # moto asks who it is, but not for proof
        headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request"
        request = urllib.request.Request(self.endpoint + path, data, headers, method="PUT")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(request, timeout=60).close()
