"""GIF, WebP and JPEG 2000: alone, without a name that tells, in folders, on servers; and damaged ones."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from ndviewer_light import open_dataset
from ndviewer_light.cli.references import main
from ndviewer_light.errors import CorruptDataError, DatasetError, LimitExceededError
from ndviewer_light.sources.images import framed_pictures
from ndviewer_light.storage.decoding import animations, pictures
from tests.image_files import picture
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OPTIONS = {"disk_cache": "no"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    with RangeServer(tmp_path_factory.mktemp("served")) as running:
        yield running


def framed(format_name: str, n: int = 4, colours: int = 0, **more: Any) -> tuple[list[np.ndarray], Callable]:
    """Pictures of few colours, which a GIF holds without loss, and what writes them all into one file."""
    frames = [picture(i, colours=colours) // 50 * 60 for i in range(n)]
    images = [Image.fromarray(frame) for frame in frames]

    def write(path: Path | io.BytesIO) -> None:
        images[0].save(path, format_name, save_all=True, append_images=images[1:], **more)

    return frames, write


def jpeg_2000(pixels: np.ndarray, kind: str = "jp2", **more: Any) -> bytes:
    imagecodecs = pytest.importorskip("imagecodecs")
    found: bytes = imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True, codecformat=kind, **more)
    return found


def planes_at(address: object) -> tuple[dict[str, int], np.ndarray, float | None]:
    """Sizes, the planes (T, Y, X, C), and the time step of what lies there."""
    with open_dataset(str(address), storage_options=OPTIONS) as dataset:
        sizes = dataset.sizes
        planes = [
            np.stack([dataset.plane(t=t, c=c) for c in range(sizes["c"])], axis=-1) for t in range(sizes["t"])
        ]
        return sizes, np.stack(planes), dataset.info.time_step_s


@pytest.mark.parametrize("where", ["a name", "no name", "a server"])
@pytest.mark.parametrize(
    ("format_name", "colours", "more"),
    [
        pytest.param("gif", 0, {"duration": 250}, id="grey GIF"),
        pytest.param("gif", 3, {"duration": 250}, id="GIF in colour"),
        pytest.param("webp", 3, {"duration": 250, "lossless": True}, id="WebP"),
    ],
)
def test_pictures_in_one_file_are_times(
    tmp_path: Path, server: RangeServer, where: str, format_name: str, colours: int, more: dict[str, Any]
) -> None:
    frames, write = framed(format_name, colours=colours, **more)
    folder = server.folder if where == "a server" else tmp_path
    path = folder / ("blob" if where == "no name" else f"a{colours}.{format_name}")
    write(path)
    sizes, planes, step_s = planes_at(server.url(path.name) if where == "a server" else path)
    assert sizes["t"] == 4 and sizes["z"] == sizes["p"] == 1 and step_s == 0.25
    np.testing.assert_array_equal(planes, np.stack(frames).reshape(planes.shape))


def test_uneven_times_are_no_step_and_a_single_picture_is_no_series(tmp_path: Path) -> None:
    framed("gif", duration=[100, 300, 100, 100])[1](tmp_path / "a.gif")
    assert planes_at(tmp_path / "a.gif")[2] is None
    for name, more in (("b.gif", {}), ("c.webp", {"lossless": True})):
        frames, write = framed(Path(name).suffix[1:], 1, 3, **more)
        write(tmp_path / name)
        sizes, planes, _ = planes_at(tmp_path / name)
        assert sizes["t"] == 1
        np.testing.assert_array_equal(planes[0], frames[0])


@pytest.mark.parametrize(
    ("pixels", "more"),
    [
        pytest.param(picture(1), {}, id="8 bits"),
        pytest.param(picture(1, dtype=np.uint16) * 20, {"bitspersample": 12}, id="12 bits"),
        pytest.param(picture(1, dtype=np.uint16) * 300, {}, id="16 bits"),
        pytest.param(picture(1, dtype=np.int16) * 20 - 2000, {}, id="signed"),
        pytest.param(picture(1, colours=3), {}, id="colour"),
        pytest.param(picture(1, dtype=np.uint16, colours=3) * 300, {}, id="deep colour"),
    ],
)
@pytest.mark.parametrize("kind", ["jp2", "j2k"])
def test_jpeg_2000_is_exact(tmp_path: Path, kind: str, pixels: np.ndarray, more: dict[str, Any]) -> None:
    for name in (f"a.{kind}", "blob"):
        (tmp_path / name).write_bytes(jpeg_2000(pixels, kind, **more))
        planes = planes_at(tmp_path / name)[1]
        assert planes.dtype == pixels.dtype
        np.testing.assert_array_equal(planes[0], pixels.reshape(planes[0].shape))


def test_a_palette_of_jpeg_2000_gives_colours(tmp_path: Path) -> None:
    indices = picture(1) // 50
    table = np.array([[10, 20, 30], [200, 0, 5], [7, 255, 9], [1, 2, 250]], np.uint8)
    data = jpeg_2000(indices)
    at = data.index(b"jp2h") - 4
    end = at + int.from_bytes(data[at : at + 4], "big")
    palette = struct.pack(">HB3B", len(table), 3, 7, 7, 7) + table.tobytes()
    mapping = b"".join(struct.pack(">HBB", 0, 1, i) for i in range(3))
    more = b"".join(
        struct.pack(">I4s", 8 + len(inside), kind) + inside
        for kind, inside in ((b"pclr", palette), (b"cmap", mapping))
    )
    inside = data[at + 8 : end].replace(struct.pack(">I", 17), struct.pack(">I", 16)) + more
    header = struct.pack(">I4s", 8 + len(inside), b"jp2h") + inside
    (tmp_path / "a.jp2").write_bytes(data[:at] + header + data[end:])
    np.testing.assert_array_equal(planes_at(tmp_path / "a.jp2")[1][0], table[indices])


@pytest.mark.parametrize("end", ["gif", "webp", "jp2"])
def test_folders_of_them_are_understood_by_their_names(tmp_path: Path, server: RangeServer, end: str) -> None:
    wanted = {}
    (server.folder / end).mkdir()
    for t in range(2):
        for c in ("DAPI", "GFP"):
            pixels = picture(t, len(c), colours=3 if end == "webp" else 0) // 50 * 60
            wanted[t, c] = pixels
            data = jpeg_2000(pixels) if end == "jp2" else b""
            for folder in (tmp_path, server.folder / end):
                path = folder / f"img_t{t}_{c}.{end}"
                if data:
                    path.write_bytes(data)
                else:
                    Image.fromarray(pixels).save(path, **({"lossless": True} if end == "webp" else {}))
    for address in (str(tmp_path), f"{server.url(end)}/img_t{{t:0..1}}_{{c:DAPI|GFP}}.{end}"):
        with open_dataset(address, storage_options=OPTIONS) as dataset:
            names = dataset.channels
            assert dataset.sizes["t"] == 2 and names[0].startswith("DAPI")
            for (t, c), pixels in wanted.items():
                found = [dataset.plane(t=t, c=i) for i, name in enumerate(names) if name.startswith(c)]
                np.testing.assert_array_equal(np.stack(found, axis=-1), pixels.reshape(*pixels.shape[:2], -1))


@pytest.mark.parametrize("n", [1, 3])
def test_on_a_server_a_file_is_fetched_once(server: RangeServer, n: int) -> None:
    rng = np.random.default_rng(n)
    images = [Image.fromarray(rng.integers(0, 255, (500, 700)).astype("u1")) for _ in range(n)]
    images[0].save(server.folder / f"large{n}.gif", save_all=True, append_images=images[1:])
    with open_dataset(server.url(f"large{n}.gif"), storage_options=OPTIONS) as dataset:
        before = server.counts()["requests"]
        for t in range(n):
            np.testing.assert_array_equal(dataset.plane(t=t), np.asarray(images[t]))
        assert server.counts()["requests"] == before, "opening has read it"


def test_frames_are_decoded_in_blocks_and_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, write = framed("gif", 9)
    write(tmp_path / "a.gif")
    monkeypatch.setattr(framed_pictures, "_TOGETHER_BYTES", 4 * frames[0].nbytes)
    with open_dataset(tmp_path / "a.gif") as dataset:
        for t in (8, 0, 5, 4, 3, 7):
            np.testing.assert_array_equal(dataset.plane(t=t), frames[t])
        with pytest.raises(IndexError):
            dataset.plane(t=9)


@pytest.mark.parametrize("format_name", ["gif", "webp"])
def test_what_is_cut_short_costs_the_pictures_behind_the_cut(tmp_path: Path, format_name: str) -> None:
    frames, write = framed(format_name, 4, 3 if format_name == "webp" else 0, lossless=True)
    write(tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    (tmp_path / f"a.{format_name}").write_bytes(data[: len(data) * 5 // 8])
    try:
        dataset = open_dataset(tmp_path / f"a.{format_name}")
    except CorruptDataError:
        assert format_name == "webp", "libwebp wants all of a file"
        return
    with dataset:
        np.testing.assert_array_equal(dataset.plane(t=0), frames[0])
        with pytest.raises(CorruptDataError, match=r"a\.gif is (truncated|damaged)"):
            dataset.plane(t=dataset.sizes["t"] - 1)


def huge(format_name: str, n: int) -> bytes:
    """A small file that declares a picture of n × n pixels."""
    if format_name == "gif":
        image = b"," + struct.pack("<HHHHB", 0, 0, n, n, 0) + b"\2\1D\0;"
        return b"GIF89a" + struct.pack("<HHBBB", n, n, 0, 0, 0) + image
    if format_name == "webp":
        canvas = (n - 1).to_bytes(3, "little") * 2
        chunks = b"VP8X" + struct.pack("<IB3x", 10, 2) + canvas + b"ANIM" + struct.pack("<IIH", 6, 0, 0)
        return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks
    data = bytearray(jpeg_2000(picture(1), format_name))
    at = data.index(b"\xff\x4f\xff\x51") + 8
    data[at : at + 8] = struct.pack(">II", n, n)
    return bytes(data)


@pytest.mark.parametrize("format_name", ["gif", "webp", "jp2", "j2k"])
def test_one_that_declares_a_huge_picture_is_not_decoded(tmp_path: Path, format_name: str) -> None:
    (tmp_path / f"a.{format_name}").write_bytes(huge(format_name, 40_000))
    with pytest.raises(LimitExceededError, match=rf"a\.{format_name}"):
        open_dataset(tmp_path / f"a.{format_name}")


def test_a_canvas_wider_than_any_webp_is_refused(tmp_path: Path) -> None:
    """Small as it is, rows of 19 MB took minutes."""
    framed("webp", 3, 3, lossless=True)[1](tmp_path / "a.webp")
    data = bytearray((tmp_path / "a.webp").read_bytes())
    data[24:27] = (4_784_159).to_bytes(3, "little")
    (tmp_path / "a.webp").write_bytes(data)
    with pytest.raises(LimitExceededError, match=r"a\.webp claims 4784160×20 pixels"):
        open_dataset(tmp_path / "a.webp")


def test_mutants_give_dataset_errors_or_pixels_of_the_declared_size() -> None:
    rng = np.random.default_rng(3)
    samples = [jpeg_2000(picture(1, colours=3)), jpeg_2000(picture(1), "j2k")]
    for format_name in ("gif", "webp"):
        write = framed(format_name, 3, 3, lossless=True)[1]
        write(data := io.BytesIO())
        samples.append(data.getvalue())
    for sample in samples:
        for _ in range(60):
            mutant = bytearray(sample)
            for at in rng.integers(0, len(mutant), 2):
                mutant[at] ^= 1 << int(rng.integers(8))
            cut = bytes(mutant[: int(rng.integers(1, len(mutant) + 1))] if rng.integers(2) else mutant)
            try:
                found = pictures.decoded(cut, "a")
                if animations.may_have_frames(cut):
                    pictures.decoded_frames(cut, "a", 0, 5)
            except DatasetError:
                continue
            assert found.ndim in (2, 3)


def test_references_describe_jpeg_2000_and_refuse_what_has_frames(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = [picture(t, dtype=np.uint16) * 300 for t in range(2)]
    (tmp_path / "in").mkdir()
    for t, pixels in enumerate(wanted):
        (tmp_path / "in" / f"img_t{t}.jp2").write_bytes(jpeg_2000(pixels))
    assert main([str(tmp_path / "in"), "-o", str(tmp_path / "refs.json")]) == 0
    np.testing.assert_array_equal(planes_at(tmp_path / "refs.json")[1][..., 0], np.stack(wanted))
    framed("gif")[1](tmp_path / "a.gif")
    assert main([str(tmp_path / "a.gif"), "-o", str(tmp_path / "b.json")]) != 0
    assert "a.gif: references can describe pictures whose names end in .png" in capsys.readouterr().err
