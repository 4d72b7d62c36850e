"""References on servers and to servers, and what in them is not trusted."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ndviewer_light.errors import (
    BY_NAME,
    CorruptDataError,
    DatasetError,
    DatasetNotFoundError,
    LimitExceededError,
    MetadataError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.references import reference_file as references_json
from ndviewer_light.sources.references.places import ReferencePolicy
from ndviewer_light.sources.references.reference_file import parse
from ndviewer_light.sources.references.source import ReferencesSource
from tests.reference_files import ZLIB, ReferenceWriter, pixels
from tests.references_opened import VOLUME, ngff_attributes, opening_references, volume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.range_server import RangeServer


@pytest.fixture
def writer(tmp_path: Path) -> ReferenceWriter:
    """Collects arrays in the test's folder."""
    return ReferenceWriter(tmp_path)


@pytest.fixture
def opened() -> Iterator[Any]:
    """Opens references; closes them when the test is over."""
    yield from opening_references()


# ---- over a network --------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["pixels.bin", "./pixels.bin", "{server}"])
def test_references_on_a_server(writer: ReferenceWriter, opened: Any, server: RangeServer, url: str) -> None:
    array = pixels(VOLUME)
    writer.add("data", array, (1, 10, 40), url=url.format(server=server.url("pixels.bin")), **ZLIB)
    writer.write()
    source = opened(server.url("refs.json"))
    np.testing.assert_array_equal(volume(source)[0, 0], array)
    assert source.describe()["hosts"] == [f"127.0.0.1:{server.port}"]


def test_local_references_to_a_server(writer: ReferenceWriter, opened: Any, server: RangeServer) -> None:
    array = pixels(VOLUME)
    writer.add("data", array, (1, 24, 40), url=server.url("pixels.bin"), **ZLIB)
    np.testing.assert_array_equal(volume(opened(writer.write()))[0, 0], array)


def test_planes_from_a_server_are_kept_until_something_changes(
    writer: ReferenceWriter, server: RangeServer, tmp_path: Path
) -> None:
    from ndviewer_light import open_dataset

    array = pixels(VOLUME)
    writer.add("data", array, (1, 24, 40), **ZLIB)
    writer.write()
    options = {"cache_dir": str(tmp_path / "kept")}
    for is_second in (False, True):
        server.set()
        with open_dataset(server.url("refs.json"), storage_options=options) as dataset:
            np.testing.assert_array_equal(dataset.plane(z=2), array[2])
        asked = [entry["path"] for entry in server.log()]
        assert asked.count("/pixels.bin") <= 1 + (not is_second)
    other = ReferenceWriter(tmp_path)
    other.add("data", array[::-1].copy(), (1, 24, 40), **ZLIB)
    other.write()
    with open_dataset(server.url("refs.json"), storage_options=options) as dataset:
        np.testing.assert_array_equal(dataset.plane(z=2), array[2])
        np.testing.assert_array_equal(dataset.plane(z=0), array[4])


def test_files_of_one_plane_are_read_at_once(
    writer: ReferenceWriter, opened: Any, server: RangeServer
) -> None:
    array = pixels((24, 40))
    writer.add("data", array, (6, 10))
    for i in range(4):
        for j in range(4):
            part = array[i * 6 : i * 6 + 6, j * 10 : j * 10 + 10]
            (writer.folder / f"{i}{j}.bin").write_bytes(part.tobytes())
            writer.refs[f"data/{i}.{j}"] = [server.url(f"{i}{j}.bin")]
    source = opened(writer.write())
    server.set(latency_s=0.1)
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), array)
    assert server.counts()["requests"] == 16
    assert server.counts()["max_in_flight"] > 8


@pytest.mark.parametrize("fault", ["drop", "503", "truncate", "short", "no_range", "wrong_range"])
def test_what_fails_on_the_way_gives_right_pixels_or_an_error(
    writer: ReferenceWriter, opened: Any, server: RangeServer, fault: str
) -> None:
    array = pixels((20, 24, 40))
    writer.add("data", array, (1, 24, 40), **ZLIB)
    writer.write()
    source = opened(server.url("refs.json"))
    server.set(faults={fault: 0.3}, only="pixels.bin")
    for z in range(20):
        try:
            found = source.read_plane(PlaneKey(z=z))
        except DatasetError:
            continue
        np.testing.assert_array_equal(found, array[z])


def test_close_ends_a_read_under_way(writer: ReferenceWriter, opened: Any, server: RangeServer) -> None:
    writer.add("data", pixels((1, 1000, 1000)), (1, 1000, 1000))
    writer.write()
    source = opened(server.url("refs.json"))
    server.set(faults={"stall": 1.0}, only="pixels.bin")
    ended: list[BaseException] = []

    def read() -> None:
        try:
            source.read_plane(PlaneKey())
        except BaseException as error:  # noqa: BLE001  is looked at below
            ended.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.counts()["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.01)
    source.close()
    thread.join(60)
    assert isinstance(ended[0], DatasetError)


def test_a_reference_to_nothing_says_to_what(
    writer: ReferenceWriter, opened: Any, server: RangeServer
) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40), url="gone.bin")
    local = writer.write()
    for path in (local, server.url("refs.json")):
        with pytest.raises(DatasetNotFoundError, match=r"refers to missing data.*gone\.bin"):
            opened(path).read_plane(PlaneKey())


def test_a_reference_beyond_the_end_is_damage(writer: ReferenceWriter, opened: Any) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40))
    path = writer.write()
    file = writer.folder / "pixels.bin"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(CorruptDataError, match="truncated"):
        opened(path).read_plane(PlaneKey(z=4))


@pytest.mark.parametrize("url", ["\ud800.bin", "in/\udfff", "file://\ud800"])
def test_a_name_that_no_file_has_is_damage(writer: ReferenceWriter, opened: Any, url: str) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40), url=url)
    with pytest.raises(MetadataError, match="not a valid file name"):
        opened(writer.write()).read_plane(PlaneKey())


# ---- what is not trusted -----------------------------------------------------------------------

OUTSIDE = [
    "/etc/hostname",
    "file:///etc/hostname",
    "../secret.bin",
    "file://../secret.bin",
    "sub/../../secret.bin",
]


@pytest.mark.parametrize("url", OUTSIDE)
def test_files_outside_the_folder_are_not_read(tmp_path: Path, opened: Any, url: str) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(10_000))
    (tmp_path / "in").mkdir()
    writer = ReferenceWriter(tmp_path / "in")
    writer.add("data", pixels(VOLUME), (1, 24, 40), url=url)
    source = opened(writer.write())
    with pytest.raises(UntrustedReferenceError, match="allow_outside"):
        source.read_plane(PlaneKey())


def test_a_link_in_the_folder_does_not_lead_out_of_it(tmp_path: Path, opened: Any) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(10_000))
    (tmp_path / "in").mkdir()
    os.symlink(tmp_path / "secret.bin", tmp_path / "in" / "link.bin")
    writer = ReferenceWriter(tmp_path / "in")
    writer.add("data", pixels(VOLUME), (1, 24, 40), url="link.bin")
    with pytest.raises(UntrustedReferenceError):
        opened(writer.write()).read_plane(PlaneKey())


def test_a_person_may_allow_it(tmp_path: Path, opened: Any) -> None:
    array = pixels(VOLUME)
    (tmp_path / "in").mkdir()
    writer = ReferenceWriter(tmp_path / "in")
    writer.add("data", array, (1, 24, 40), url="../pixels.bin")
    path = writer.write()
    os.rename(tmp_path / "in" / "pixels.bin", tmp_path / "pixels.bin")
    source = opened(path, **{"allow_outside": "yes"})
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), array[0])


@pytest.mark.parametrize(
    "url", ["/etc/hostname", "file:///etc/hostname", "C:\\secret", "../../x", "local:///etc/x"]
)
def test_references_on_a_server_name_no_file_of_this_machine(
    writer: ReferenceWriter, opened: Any, server: RangeServer, url: str
) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40), url=url)
    writer.write()
    with pytest.raises(UntrustedReferenceError):
        opened(server.url("refs.json"))


@pytest.mark.parametrize(
    "url", ["ftp://h/x", "smb://h/x", "memory://x", "zip://a::/etc/x", "reference://x", "data:,x", "a\0b", ""]
)
def test_only_known_schemes_are_followed(writer: ReferenceWriter, opened: Any, url: str) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40), url="x")
    writer.refs["data/0.0.0"][0] = url
    with pytest.raises(DatasetError):
        opened(writer.write()).read_plane(PlaneKey())


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "127.1", "10.0.0.7", "169.254.169.254", "[::1]", "192.168.1.1", "2130706433"],
)
def test_references_of_a_public_server_reach_into_no_private_network(host: str) -> None:
    places = ReferencePolicy("https://data.example.org/refs.json", {})
    with pytest.raises(UntrustedReferenceError, match="network"):
        places.learn([f"http://{host}/latest/meta-data"])
    places.learn(["https://dandiarchive.s3.amazonaws.com/x", "s3://bucket/x", "https://8.8.8.8/x"])
    assert places.hosts == ("dandiarchive.s3.amazonaws.com", "s3://bucket", "8.8.8.8")


def test_a_password_is_told_to_its_own_server_only() -> None:
    options = {"token": "secret", "region": "eu"}
    remote = ReferencePolicy("https://a.org/refs.json", options)
    assert remote.options_for("https://a.org/x.bin") == options
    assert remote.options_for("https://b.org/x.bin") == {"region": "eu"}
    local = ReferencePolicy("/data/refs.json", options)
    local.learn(["https://a.org/x"])
    assert local.options_for("https://a.org/x") == options
    local.learn(["https://a.org/x", "https://b.org/x"])
    assert local.options_for("https://a.org/x") == {"region": "eu"}


def test_what_is_secret_in_a_url_is_in_no_message(writer: ReferenceWriter, server: RangeServer) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40), url="file:///etc/x?token=hush")
    writer.write()
    with pytest.raises(DatasetError) as caught:
        ReferencesSource.open(server.url("refs.json") + "?signature=hush")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (
            '{"version": 1, "gen": [{"key": "a", "url": "b", "dimensions": {"i": {"stop": 9}}}], "refs": {}}',
            UnsupportedError,
        ),
        (
            '{"version": 1, "templates": {"f": "{{c}}"}, "refs": {".zgroup": "{}", "a/0": ["{{f(c=1)}}"]}}',
            UnsupportedError,
        ),
        (
            '{"version": 1, "templates": {"f": "{{c}}"}, "refs": {".zgroup": "{}", "a/0": ["{{f}}"]}}',
            UnsupportedError,
        ),
        ('{"version": 1, "refs": {".zgroup": "{}", "a/0": ["{{f.__class__}}"]}}', MetadataError),
        ('{"version": 1, "refs": {".zgroup": "{}", "a/0": ["{% for i in x %}"]}}', UnsupportedError),
        ('{"version": 1, "templates": {"f": 5}, "refs": {".zgroup": "{}"}}', MetadataError),
        ('{"version": 2, "refs": {}}', UnsupportedError),
        ('{"version": 1, "refs": []}', MetadataError),
        ('{"refs": {".zgroup": "{}"', MetadataError),
        ('{".zgroup": "{}"} more', MetadataError),
        ('{"a/0": ["x", -1, 5], ".zgroup": "{}"}', MetadataError),
        ('{"a/0": ["x", 1, -1], ".zgroup": "{}"}', MetadataError),
        ('{"a/0": ["x", 1], ".zgroup": "{}"}', MetadataError),
        ('{"a/0": ["x", 1, 2.5], ".zgroup": "{}"}', MetadataError),
        ('{"a/0": ["x", 1, 99999999999999999999999], ".zgroup": "{}"}', MetadataError),
        ('{"a/0": [null, 1, 2], ".zgroup": "{}"}', MetadataError),
        ('{"a/0": 5, ".zgroup": "{}"}', MetadataError),
        ('{"a/.zarray": "{", "a/0": ["x"]}', DatasetNotFoundError),
        ('{"hello": "world"}', MetadataError),
        ("{}", MetadataError),
        ("[]", MetadataError),
        ("", MetadataError),
        ("\xff", MetadataError),
        ('{"a": ' + "[" * 100_000, LimitExceededError),
        ('{"a/.zattrs": ' + '{"x":' * 100 + "1" + "}" * 100 + "}", DatasetNotFoundError),
    ],
    ids=range(25),
)
def test_files_that_are_no_references_are_refused(
    tmp_path: Path, opened: Any, content: str, error: type[Exception]
) -> None:
    path = tmp_path / "refs.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(error, match=r"refs\.json"):
        opened(str(path))


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch, writer: ReferenceWriter, opened: Any) -> None:
    writer.add("data", pixels(VOLUME), (1, 6, 8))
    path = writer.write()
    monkeypatch.setattr(references_json, "MAX_REFERENCES", 50)
    with pytest.raises(LimitExceededError, match="references"):
        opened(path)
    monkeypatch.undo()
    monkeypatch.setattr("ndviewer_light.sources.references.source.MAX_FILE_BYTES", 100)
    with pytest.raises(LimitExceededError, match="bytes"):
        opened(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data/0.0", "text"),
        ("data/x.0.0", ["x", 0, 1]),
        ("data/0.0.0.0", ["x", 0, 1]),
        ("data/-1.0.0", ["x", 0, 1]),
        ("data/99999999999999999999.0.0", ["x", 0, 1]),
    ],
)
def test_keys_that_are_no_chunks_are_refused(
    writer: ReferenceWriter, opened: Any, key: str, value: Any
) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40))
    writer.refs[key] = value
    with pytest.raises(MetadataError, match="is not a chunk"):
        opened(writer.write())


def test_chunks_outside_the_array_are_ignored(writer: ReferenceWriter, opened: Any) -> None:
    array = pixels(VOLUME)
    writer.add("data", array, (1, 24, 40))
    writer.refs["data/5.0.0"] = ["nowhere", 0, 1]
    np.testing.assert_array_equal(volume(opened(writer.write()))[0, 0], array)


def test_a_chunk_named_twice_is_refused(tmp_path: Path, opened: Any) -> None:
    writer = ReferenceWriter(tmp_path)
    writer.add("data", pixels(VOLUME), (1, 24, 40))
    text = Path(writer.write()).read_text()
    Path(tmp_path, "refs.json").write_text(text[:-2] + ', "data/0.0.0": ["x", 0, 1]}}')
    with pytest.raises(MetadataError, match="twice"):
        opened(f"{tmp_path}/refs.json")


def test_a_chunk_of_absurd_length_is_not_read(writer: ReferenceWriter, opened: Any) -> None:
    writer.add("data", pixels(VOLUME), (1, 24, 40), **ZLIB)
    writer.refs["data/0.0.0"][2] = 10**12
    with pytest.raises(CorruptDataError, match=r"chunk 0\.0\.0 of /data"):
        opened(writer.write()).read_plane(PlaneKey())


def test_arrays_of_objects_are_refused(writer: ReferenceWriter, opened: Any) -> None:
    document = {"zarr_format": 2, "shape": [4, 4], "chunks": [4, 4], "dtype": "|O", "fill_value": None}
    writer.refs["data/.zarray"] = json.dumps({**document, "filters": [{"id": "pickle"}]})
    writer.refs["data/0.0"] = "base64:gASVIAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAV0b3VjaJSFlFKULg=="
    with pytest.raises(UnsupportedError, match="dtype"):
        opened(writer.write() + "::/data")


def test_mutants_give_dataset_errors_only(writer: ReferenceWriter) -> None:
    array = pixels(VOLUME)
    writer.group("", ngff_attributes())
    writer.add("0", array, (1, 24, 40), **ZLIB)
    writer.add("data", array, (2, 24, 40), filters=[{"id": "shuffle", "elementsize": 2}], attributes={"a": 1})
    path = Path(writer.write())
    original = path.read_bytes()
    rng = np.random.default_rng(5)
    n_errors = 0
    for _ in range(400):
        mutant = bytearray(original)
        for _ in range(rng.integers(1, 4)):
            mutant[rng.integers(len(mutant))] = int(rng.choice(list(b'0123456789{}[]",:abz/.-\xff\0')))
        path.write_bytes(bytes(mutant))
        for inner in ("", "::/data"):
            try:
                source = ReferencesSource.open(f"{path}{inner}")
                try:
                    source.read_plane(PlaneKey())
                finally:
                    source.close()
            except (DatasetError, IndexError) as error:
                n_errors += 1
                assert type(error).__name__ in BY_NAME or isinstance(error, IndexError)
    assert n_errors > 100


def test_large_files_are_walked_through_without_loss() -> None:
    refs = {f"data/{i}.0.0": ["file.bin", 100 * i, 90] for i in range(3000)}
    refs["data/1500.0.0"] = "base64:AAAA"
    refs = {".zgroup": "{}", **refs, "data/.zarray": "{}", "data/3000.0.0": ['other " file']}
    for text in (json.dumps(refs), json.dumps(refs, indent=1), json.dumps(refs, separators=(",", ":"))):
        found = parse(text.encode(), "a.json")
        assert len(found.keys) == 3001
        assert found.locations == ["file.bin", 'other " file']
        rows = {
            key: (found.location[i], found.offset[i], found.length[i]) for i, key in enumerate(found.keys)
        }
        assert rows["data/2999.0.0"] == (0, 299_900, 90)
        assert rows["data/1500.0.0"][0] == references_json.INLINE
        assert rows["data/3000.0.0"] == (1, 0, -1)
