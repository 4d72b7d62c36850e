"""What Opera Phenix and Operetta write beside their images counts: channels, sizes and steps."""

from __future__ import annotations

import os
from time import time as now
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from listing_server import listing_server

from ndviewer_light import open_dataset
from ndviewer_light.metadata.opera_index import names_in_opera_index, opera_index
from ndviewer_light.model import PlaneKey

if TYPE_CHECKING:
    from pathlib import Path

CHANNELS = {1: ("HOECHST 33342", 375, 456), 2: ("Alexa 488", 488, 522), 4: ("Brightfield", 740, 760)}
NAMES = [
    (field, plane, time, channel)
    for field in (1, 2)
    for plane in (1, 2, 3)
    for time in (0, 1)
    for channel in CHANNELS
]


def image(field: int, plane: int, time: int, channel: int, *, with_channel: bool) -> str:
    name = f"r01c02f{field:02}p{plane:02}-ch{channel}sk{time + 1}fk1fl1.tiff"
    return (
        f'<Image Version="1"><id>x</id><State>Ok</State><URL>{name}</URL><Row>1</Row><Col>2</Col>'
        f"<FieldID>{field}</FieldID><PlaneID>{plane}</PlaneID><TimepointID>{time}</TimepointID>"
        f"<ChannelID>{channel}</ChannelID>{facts(channel) if with_channel else ''}"
        f'<PositionX Unit="m">{field * 1e-4:g}</PositionX><PositionY Unit="m">-0.0002</PositionY>'
        f'<PositionZ Unit="m">{(plane - 1) * 1.5e-6:g}</PositionZ>'
        f'<MeasurementTimeOffset Unit="s">{time * 600 + plane * 0.7}</MeasurementTimeOffset></Image>'
    )


def facts(channel: int) -> str:
    name, excitation, emission = CHANNELS[channel]
    return (
        f"<ChannelName>{name}</ChannelName>"
        '<ImageResolutionX Unit="m">2.9E-07</ImageResolutionX>'
        '<ImageResolutionY Unit="m">2.9E-07</ImageResolutionY>'
        f'<MainExcitationWavelength Unit="nm">{excitation}</MainExcitationWavelength>'
        f'<MainEmissionWavelength Unit="nm">{emission}</MainEmissionWavelength>'
    )


def index(*, by_channel: bool) -> str:
    entries = "".join(f'<Entry ChannelID="{c}">{facts(c)}</Entry>' for c in CHANNELS) if by_channel else ""
    images = "".join(image(*each, with_channel=not by_channel) for each in NAMES)
    return (
        '<?xml version="1.0"?><EvaluationInputData xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5">'
        f"<Maps><Map>{entries}</Map></Maps><Images>{images}</Images></EvaluationInputData>"
    )


def write(folder: Path, *, by_channel: bool = False) -> None:
    folder.mkdir(parents=True)
    for i, (field, plane, time, channel) in enumerate(NAMES):
        name = f"r01c02f{field:02}p{plane:02}-ch{channel}sk{time + 1}fk1fl1.tiff"
        tifffile.imwrite(folder / name, np.full((8, 9), i, np.uint16))
    (folder / "Index.idx.xml").write_text(index(by_channel=by_channel), "utf-8-sig")


@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("opened", ["", "Images", "Images/Index.idx.xml"])
def test_the_index_names_channels_and_tells_sizes(tmp_path: Path, opened: str, by_channel: bool) -> None:
    write(tmp_path / "Images", by_channel=by_channel)
    with open_dataset(tmp_path / opened) as dataset:
        info = dataset.info
        assert [channel.name for channel in info.channels] == ["HOECHST 33342", "Alexa 488", "Brightfield"]
        assert [channel.emission_nm for channel in info.channels] == [456, 522, 760]
        assert [channel.color for channel in info.channels] == ["#0000FF", "#00FF00", "#FFFFFF"]
        assert (info.n_t, len(info.positions), info.n_z) == (2, 2, 3)
        assert info.pixel_size_x_um == pytest.approx(0.29)
        assert info.z_step_um == pytest.approx(1.5)
        assert info.time_step_s == pytest.approx(600)
        places = [(position.x_um, position.y_um) for position in info.positions]
        assert places == [pytest.approx((100, 200)), pytest.approx((200, 200))]  # y downwards
        assert int(dataset.plane(t=1, p=1, c="Alexa 488", z=2).max()) == NAMES.index((2, 3, 1, 2))


def test_images_that_the_index_lists_and_that_are_not_there_are_missing(tmp_path: Path) -> None:
    """Of one of two measurements the second field, of both the last time of a channel is not there."""
    for name in ("m1", "m2"):
        write(tmp_path / name / "Images")
        for path in (tmp_path / name / "Images").glob("*ch4sk2*"):
            path.unlink()
    for path in (tmp_path / "m1" / "Images").glob("*f02*"):
        path.unlink()
    long_ago = now() - 1e6
    for path in tmp_path.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    for opened, fields in (("m1", 2), ("m1/Images/Index.idx.xml", 2), ("", 4)):
        with open_dataset(tmp_path / opened) as dataset:
            info = dataset.info
            assert (info.n_t, len(info.positions), info.n_z, len(info.channels)) == (2, fields, 3, 3)
            keys = [
                PlaneKey(0, 0, 0, 2),
                PlaneKey(0, 1, 0, 0),
                PlaneKey(1, 0, 2, 0),
                PlaneKey(0, fields - 1, 2, 1),
            ]
            states = [plane.state.name for plane in dataset.planes(keys, wait=30)]
            assert states == ["PRESENT", "ABSENT", "ABSENT", "ABSENT" if fields == 2 else "PRESENT"]


@pytest.mark.parametrize(
    ("opened", "how"), [("", "pages"), ("Index.idx.xml", "pages"), ("Index.idx.xml", "nothing")]
)
def test_the_index_on_a_server_is_read_as_well(tmp_path: Path, opened: str, how: str) -> None:
    write(tmp_path / "bucket" / "Images")
    with listing_server(tmp_path, how) as (url, _), open_dataset(f"{url}/Images/{opened}") as dataset:
        assert [channel.name for channel in dataset.info.channels][:2] == ["HOECHST 33342", "Alexa 488"]
        assert dataset.info.z_step_um == pytest.approx(1.5)
        assert int(dataset.plane(t=1, p=1, c="Alexa 488", z=2).max()) == NAMES.index((2, 3, 1, 2))


def test_fields_beyond_the_beginning_of_an_index_are_where_those_of_other_wells_are() -> None:
    text = index(by_channel=False)
    said = opera_index(text)
    assert said.place_of("A02", 1) == said.place_of("C11", 1) == pytest.approx((100, 200))
    other = text.replace("<Col>2</Col><FieldID>1<", "<Col>3</Col><FieldID>1<").replace("0.0001<", "0.0009<")
    both = opera_index(text + other)
    assert both.place_of("A3", 1) == pytest.approx((900, 200))
    assert both.place_of("C11", 1) is None
    assert both.place_of("C11", 2) == pytest.approx((200, 200))


def test_names_of_later_versions_are_read_as_well() -> None:
    """They have attributes, and escapes."""
    text = '<URL BufferNo="0">r01c01f01p01-ch1sk1fk1fl1.tiff</URL><URL>a&amp;b.tiff</URL>'
    assert names_in_opera_index(text) == ["r01c01f01p01-ch1sk1fk1fl1.tiff", "a&b.tiff"]


def test_what_cannot_be_believed_is_not(tmp_path: Path) -> None:
    """Cut in the middle, steps that are uneven, names that are the same, and no index at all."""
    text = index(by_channel=False)
    assert opera_index(text[: len(text) // 2]).channels.keys() == {"1", "2", "4"}
    assert opera_index(text[: len(text) // 2]).steps["z"] == pytest.approx(1.5)
    assert "z" not in opera_index(text.replace("1.5e-06", "9e-06")).steps
    assert not opera_index(text.replace("HOECHST 33342", "Alexa 488")).channels
    assert opera_index("<html><body>no</body></html>")[:2] == ({}, {})
    write(tmp_path / "x")
    (tmp_path / "x" / "Index.idx.xml").write_bytes(b"\xff\x00<Image>")
    with open_dataset(tmp_path / "x") as dataset:
        assert [channel.name for channel in dataset.info.channels] == ["Ch1", "Ch2", "Ch4"]
