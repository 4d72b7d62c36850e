"""A network share (SMB) on this machine: impacket's server, in a process of its own.

with ShareServer(folder) as server:
    open_bytes(server.url("a.nd2"), {"user": server.user, "password": server.password})
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from tests.server_process import ServerProcess

_SERVE = """
import os, sys, threading
from impacket.ntlm import compute_lmhash, compute_nthash
from impacket.smbserver import SimpleSMBServer
folder, user, password = sys.argv[1:]
server = SimpleSMBServer("127.0.0.1", 0)
server.addShare("pictures", folder, readOnly="yes")
server.setSMB2Support(True)
server.setLogFile(os.devnull)
server.addCredential(user, 0, compute_lmhash(password), compute_nthash(password))
print(server.getServer().server_address[1], flush=True)
threading.Thread(target=server.start, daemon=True).start()
sys.stdin.read()
os._exit(0)
"""


class ShareServer:
    """The server, running between ``with`` and its end."""

    user, password = "scientist", "canary-secret"

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def __enter__(self) -> ShareServer:
        self._process = ServerProcess(_SERVE, str(self.folder), self.user, self.password)
        self.port = self._process.port
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def url(self, path: str) -> str:
        """The URL of a file, given below the folder."""
        return f"smb://127.0.0.1:{self.port}/pictures/{quote(path)}"
