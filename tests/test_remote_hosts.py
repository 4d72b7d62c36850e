"""Which hosts a document or a redirect on a public server may lead to."""

from __future__ import annotations

import ipaddress
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from ndviewer_light.errors import DatasetError, MetadataError, UntrustedReferenceError
from ndviewer_light.sources.references.places import ReferencePolicy
from ndviewer_light.sources.references.source import ReferencesSource
from ndviewer_light.storage.open_bytes import open_bytes
from ndviewer_light.storage.remote import hosts, redirects
from ndviewer_light.storage.remote.hosts import HostJudge, host_as_clients_read_it
from ndviewer_light.storage.trees.url import UrlTree
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("obstore")

PUBLIC = "data.example.org"
PRIVATE = "files.lab.example"
NAMES = {  # what names resolve to, as the judge is told
    PRIVATE: "10.0.0.7",
    PUBLIC: "93.184.216.34",
    "127.0.0.1.nip.example": "127.0.0.1",
    "metadata.example": "169.254.169.254",
    "six.example": "fe80::1",
    "mapped.example": "::ffff:10.0.0.1",
    "other.example": "8.8.8.8",
}


def resolved(host: str) -> list[Any]:
    return [ipaddress.ip_address(NAMES[host])] if host in NAMES else []


@pytest.fixture(autouse=True)
def judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names mean what the table says, and nobody asks the network for them."""
    told = HostJudge(resolved)
    monkeypatch.setattr(hosts, "the_judge", told)
    monkeypatch.setattr("ndviewer_light.sources.references.places.the_judge", told)
    monkeypatch.setattr(redirects, "_lately", {})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RangeServer]:
    with RangeServer(tmp_path) as server:
        yield server


@pytest.fixture
def public_url(server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server's URL under a public name, which the system resolves to this machine."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **how: Any) -> Any:
        return real("127.0.0.1" if host in (PUBLIC, PRIVATE) else host, *rest, **how)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return f"http://{PUBLIC}:{server.port}/"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0x7f.1", "127.0.0.1"),
        ("0X7F.0.0.0x1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("%31%32%37.0.0.1", "127.0.0.1"),
        ("１２７.0.0.1", "127.0.0.1"),
        ("127。0。0。1", "127.0.0.1"),
        ("LOCALHOST.", "localhost"),
        ("loc\u00adalhost", "localhost"),
        ("user:pw@0x7f.1:80", "127.0.0.1"),
        ("[::FFFF:7f00:1]", "[::ffff:7f00:1]"),
        ("Data.Example.ORG", PUBLIC),
    ],
)
def test_a_host_is_read_as_clients_read_it(written: str, read: str) -> None:
    assert host_as_clients_read_it(f"http://{written}/x").replace("::ffff:127.0.0.1", "::ffff:7f00:1") == read


def test_a_blank_in_the_name_of_a_file_says_nothing_about_its_host() -> None:
    assert host_as_clients_read_it("http://data.example.org/my scan\\1.tif?a b") == PUBLIC
    for place in ("http:///data.example.org /x", "http:/\\127.0.0.1/x", "http://data.example.org/a\nb"):
        with pytest.raises(MetadataError):
            host_as_clients_read_it(place)


@pytest.mark.parametrize(
    "written",
    [
        *("", "127.0.0.1\\@evil.org", "a b", "1.2.3.4.5", "256.1.1.1", "0x.zz.1", "[::1", "a\tb"),
        *("[1.2.3.4]", "%00", "a%2fb", "%ff", "08.1.1.1", "a..b", "[fe80::1%25eth0]"),
    ],
)
def test_what_two_could_read_in_two_ways_is_refused(written: str) -> None:
    with pytest.raises(MetadataError):
        host_as_clients_read_it(f"http://{written}/x")


INSIDE = [
    *("localhost", "localhost.", "a.localhost", "printer", "nas.local", "0x7f.1", "%31%32%37.0.0.1", "0"),
    *("１２７.0.0.1", "2130706433", "127.1.", "10.0.0.7", "192.168.1.1", "172.16.0.1"),
    *("100.64.0.1", "169.254.169.254", "224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1"),
    *("[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[ff02::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]"),
    *("[64:ff9b::7f00:1]", "[2002:7f00:1::]", "127.0.0.1.nip.example", "metadata.example", "six.example"),
    "mapped.example",
]
LOOPBACK = {
    *(
        "localhost",
        "localhost.",
        "a.localhost",
        "0x7f.1",
        "%31%32%37.0.0.1",
        "0",
        "１２７.0.0.1",
        "2130706433",
    ),
    *("127.1.", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[2002:7f00:1::]", "127.0.0.1.nip.example"),
}
LINK_LOCAL = {"169.254.169.254", "[fe80::1]", "metadata.example", "six.example"}


@pytest.mark.parametrize("host", INSIDE)
def test_a_document_of_a_public_server_leads_to_no_machine_inside(host: str) -> None:
    home = f"https://{PUBLIC}/refs.json"
    policy = ReferencePolicy(home, {})
    with pytest.raises(UntrustedReferenceError, match="network"):
        policy.checked(policy.place(f"http://{host}:8080/latest"))
    allowed = ReferencePolicy(home, {"allow_outside": "yes"})
    assert allowed.checked(allowed.place(f"http://{host}:8080/latest"))


@pytest.mark.parametrize("host", INSIDE)
def test_what_is_inside_leads_to_others_there_but_not_to_this_computer_or_a_clouds_metadata(
    host: str,
) -> None:
    for home, refused in [
        ("192.168.1.7", LOOPBACK | LINK_LOCAL),
        ("nas.local", LOOPBACK | LINK_LOCAL),
        ("localhost", LINK_LOCAL),
        ("169.254.1.1", LOOPBACK),
    ]:
        policy = ReferencePolicy(f"http://{home}/refs.json", {})
        if host in refused:
            with pytest.raises(UntrustedReferenceError, match="network"):
                policy.checked(policy.place(f"http://{host}:8080/latest"))
        else:
            assert policy.checked(policy.place(f"http://{host}:8080/latest"))


def test_a_document_of_a_public_server_leads_to_others_as_they_were_judged() -> None:
    policy = ReferencePolicy(f"https://{PUBLIC}/refs.json", {})
    for written, place in [
        ("https://other.example/x", "https://other.example/x"),
        ("https://OTHER.example.:8443/x?y", "https://other.example:8443/x?y"),
        ("http://0x08.8.8.8/x", "http://8.8.8.8/x"),
        ("http://[2606:4700::1111]/x", "http://[2606:4700::1111]/x"),
        ("https://nobody.knows.example/x", "https://nobody.knows.example/x"),
        ("s3://bucket/x", "s3://bucket/x"),
    ]:
        assert policy.checked(policy.place(written)) == place


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:{}/a.bin", "http://0x7f.1:{}/a.bin", "http://[::1]:{}/a"]
)
def test_a_redirect_of_a_public_server_into_this_network_is_not_followed(
    server: RangeServer, public_url: str, tmp_path: Path, target: str
) -> None:
    (tmp_path / "a.bin").write_bytes(b"secret")
    server.set(redirect=target.format(server.port))
    with pytest.raises(UntrustedReferenceError, match="network"):
        open_bytes(public_url + "redirect/a.bin")
    with pytest.raises(UntrustedReferenceError, match="network"):
        UrlTree(public_url + "redirect/a.zarr").read_small(public_url + "redirect/a.zarr/zarr.json")
    assert {each["path"] for each in server.log()} <= {"/redirect/a.bin", "/redirect/a.zarr/zarr.json"}


@pytest.mark.parametrize("target", ["http://127.0.0.1:{}/a.bin", "http://169.254.169.254:{}/a.bin"])
def test_a_redirect_of_a_server_in_this_network_to_this_machine_is_not_followed(
    server: RangeServer, public_url: str, tmp_path: Path, target: str
) -> None:
    (tmp_path / "a.bin").write_bytes(b"secret")
    server.set(redirect=target.format(server.port))
    with pytest.raises(UntrustedReferenceError, match="network"):
        open_bytes(public_url.replace(PUBLIC, PRIVATE) + "redirect/a.bin")
    assert {each["path"] for each in server.log()} <= {"/redirect/a.bin"}


def test_the_way_to_a_public_file_is_walked_once_for_its_folder(
    server: RangeServer, public_url: str, tmp_path: Path
) -> None:
    (tmp_path / "a.bin").write_bytes(b"seen")
    for _ in range(3):  # obstore resolves names by itself, and finds none here
        with pytest.raises(DatasetError):
            open_bytes(public_url + "a.bin", {"timeout": "2"})
    assert [each["path"] for each in server.log()] == ["/a.bin"]


def test_a_typed_server_of_this_machine_may_redirect_to_itself(server: RangeServer, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"seen")
    file = open_bytes(server.url("redirect/a.bin"))
    assert file.read(0, 4) == b"seen"
    file.close()


def test_references_of_a_server_inside_may_name_it(server: RangeServer, tmp_path: Path) -> None:
    zarray = {
        **{"zarr_format": 2, "shape": [4, 4], "chunks": [4, 4], "dtype": "|u1", "order": "C"},
        **{"fill_value": 0, "filters": None, "compressor": None},
    }
    (tmp_path / "a.bin").write_bytes(bytes(range(16)))
    refs = {".zgroup": '{"zarr_format": 2}', "a/.zarray": json.dumps(zarray), "a/0.0": [server.url("a.bin")]}
    (tmp_path / "refs.json").write_text(json.dumps({"version": 1, "refs": refs}))
    source = ReferencesSource.open(server.url("refs.json"))
    assert source.read_plane((0, 0, 0, 0)).tolist() == [list(range(i, i + 4)) for i in (0, 4, 8, 12)]
    source.close()
