"""Where a field lies on the stage in µm, however its dataset says so, and the names that images have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import stores
import zarr
from test_written_names import SCALE, put, put_image, write_plate

from ndviewer_light import open_dataset
from ndviewer_light.sources.zarr.source import ZarrSource

pytestmark = stores.needs_zarr_3


if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

C = {"name": "c", "type": "channel"}


def space(unit: str | None) -> list[dict[str, str]]:
    return [C, *({"name": n, "type": "space", **({} if unit is None else {"unit": unit})} for n in "yx")]


def move(*vector: float) -> dict[str, Any]:
    return {"type": "translation", "translation": list(vector)}


def scale(*vector: float) -> dict[str, Any]:
    return {"type": "scale", "scale": list(vector)}


@pytest.mark.parametrize(
    ("unit", "transforms", "outer", "expected"),
    [
        ("micrometer", [SCALE, move(0, 12.5, -300)], [], (-300.0, 12.5)),
        ("millimeter", [scale(1, 5e-4, 5e-4), move(0, 1, 2.5)], [], (2500.0, 1000.0)),
        ("nanometer", [scale(1, 500, 500), move(0, 1000, 3000)], [], (3.0, 1.0)),
        ("micrometer", [SCALE, move(0, 1, 2)], [move(0, 10, 20)], (22.0, 11.0)),  # both count
        ("micrometer", [SCALE], [move(0, 10, 20)], (20.0, 10.0)),
        ("micrometer", [scale(1, 1, 1), move(0, 4, 6)], [scale(1, 0.5, 0.5)], (3.0, 2.0)),  # scaled after
        ("micrometer", [SCALE, move(0, 0, 0)], [], (0.0, 0.0)),
        ("micrometer", [SCALE], [], (None, None)),
        (None, [scale(1, 0.65, 0.65), move(0, 5, 6)], [], (6.0, 5.0)),  # as the scale: µm
        (None, [scale(1, 1, 1), move(0, 5, 6)], [], (None, None)),  # pixels of unknown size
        ("parsec", [SCALE, move(0, 5, 6)], [], (None, None)),
        ("micrometer", [SCALE, move(5, 6)], [], (None, None)),  # too short
        ("micrometer", [SCALE, {"type": "translation", "translation": [0, None, 6]}], [], (6.0, None)),
        ("meter", [scale(1, 1e-6, 1e-6), move(0, 1e9, 1e-3)], [], (1000.0, None)),  # no stage is there
    ],
)
def test_translations_are_stage_coordinates(
    tmp_path: Path, unit: str | None, transforms: Sequence[Any], outer: Sequence[Any], expected: Any
) -> None:
    group = zarr.create_group(tmp_path / "i.zarr", zarr_format=2)
    put_image(group, transforms=transforms, outer=outer, axes=space(unit))
    with open_dataset(tmp_path / "i.zarr") as dataset:
        (position,) = dataset.info.positions
        assert (position.x_um, position.y_um) == tuple(
            None if value is None else pytest.approx(value) for value in expected
        )
        assert position.z_um is None


def place_fields(path: Path, n: int) -> None:
    """A plate with `n` wells, field i at x = 10 i, y = 5 µm."""
    write_plate(path, {f"A/{i + 1}": [("0", None)] for i in range(n)})
    plate = zarr.open_group(path, mode="r+")
    for i in range(n):
        image = plate[f"A/{i + 1}/0"]
        multiscale = image.attrs["multiscales"][0]
        multiscale["datasets"][0]["coordinateTransformations"].append(move(0, 5, 10 * i))
        put(image, {"multiscales": [multiscale]})


def test_fields_of_a_plate_are_placed_when_they_are_read(tmp_path: Path) -> None:
    place_fields(tmp_path / "p.zarr", 3)
    with open_dataset(tmp_path / "p.zarr") as dataset:
        assert [position.x_um for position in dataset.info.positions] == [0.0, None, None]
        dataset.plane(p=2)
        assert [position.x_um for position in dataset.info.positions] == [0.0, None, 20.0]
        assert dataset.positions == ("A1:0", "A2:0", "A3:0")
        dataset.refresh()  # the same positions, though they are known better than when they were found
        assert [position.x_um for position in dataset.info.positions] == [0.0, None, 20.0]
        dataset.look_at_all()
        assert [position.x_um for position in dataset.info.positions] == [0.0, 10.0, 20.0]


def test_a_large_plate_tells_of_many_positions_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ndviewer_light.sources.zarr.positions.FEW", 4)
    monkeypatch.setattr("ndviewer_light.sources.zarr.positions.BATCH", 3)
    place_fields(tmp_path / "p.zarr", 6)
    source = ZarrSource.open(str(tmp_path / "p.zarr"))
    before = source.info.positions
    assert before[0].x_um == 0.0
    for p in (1, 2):
        source.image(p)
        assert source.info.positions is before
    source.image(3)
    assert [position.x_um for position in source.info.positions] == [0.0, 10.0, 20.0, 30.0, None, None]
    source.image(5)
    source.refresh()
    assert source.info.positions[5].x_um == 50.0
    source.close()


@pytest.mark.parametrize("layout", ["per-fov", "plate"])
def test_an_experiment_has_the_coordinates_that_squid_wrote_beside_its_stores(
    tmp_path: Path, layout: str
) -> None:
    if layout == "plate":
        stores.write_plate(tmp_path / "plate.ome.zarr", {"A/1": 2, "B/2": 1})
    else:
        stores.write_per_fov(tmp_path, {"A1": 2, "B2": 1})
    lines = ["region,fov,x (mm),y (mm),z (um)", "A1,0,1.5,2,7", "A1,1,1.75,2,8", "B2,0,10,-3,", "C3,0,1,1,1"]
    (tmp_path / "coordinates.csv").write_text("\n".join(lines))
    with open_dataset(tmp_path) as dataset:
        assert [position[:5] for position in dataset.info.positions] == [
            ("A1", 0, 1500.0, 2000.0, 7.0),
            ("A1", 1, 1750.0, 2000.0, 8.0),
            ("B2", 0, 10000.0, -3000.0, None),
        ]
        dataset.plane(p=2)
        dataset.refresh()
        assert dataset.info.positions[2].x_um == 10000.0


def test_broken_coordinates_are_only_a_warning(tmp_path: Path) -> None:
    stores.write_per_fov(tmp_path, {"A1": 1})
    (tmp_path / "coordinates.csv").write_text("x,y\n1,2\n")
    with open_dataset(tmp_path) as dataset:
        assert dataset.info.positions[0].x_um is None
        assert any("coordinates.csv is ignored" in warning for warning in dataset.info.warnings)


# ---- names in the metadata of images -------------------------------------------------------


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_series_of_bioformats2raw_have_the_names_of_their_images(tmp_path: Path, zarr_format: Any) -> None:
    root = zarr.create_group(tmp_path / "c.zarr", zarr_format=zarr_format)
    put(root, {"bioformats2raw.layout": 3})
    put(root.create_group("OME"), {"series": ["0", "1", "2"]})
    for i, name in enumerate(("overview", None, "label image")):
        put_image(root.create_group(str(i)), name=name, transforms=[SCALE, move(0, i, 2 * i)])
    with open_dataset(tmp_path / "c.zarr") as dataset:
        dataset.look_at_all()
        positions = dataset.info.positions
        assert dataset.positions == ("series:0", "series:1", "series:2")
        assert [position.title for position in positions] == ["overview", "series:1", "label image"]
        assert [position.x_um for position in positions] == [0.0, 2.0, 4.0]
        assert dataset.info.position_index("label image") == 2


@pytest.mark.parametrize(("name", "title"), [("nuclei", "nuclei"), ("/", "default:0"), ("0", "default:0")])
def test_a_single_image_has_its_own_name(tmp_path: Path, name: str, title: str) -> None:
    put_image(zarr.create_group(tmp_path / "i.zarr", zarr_format=2), name=name)
    with open_dataset(tmp_path / "i.zarr") as dataset:
        assert dataset.info.positions[0].title == title
        assert dataset.positions == ("default:0",)


# ---- the OME-XML of a collection -----------------------------------------------------------

OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def ome_xml(*images: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{OME}">{"".join(images)}</OME>'


def ome_image(name: str, x: float, *channels: str) -> str:
    about = 'Color="16711935" EmissionWavelength="520"'
    named = "".join(f'<Channel Name="{each}" {about}/>' for each in channels)
    plane = f'<Plane TheT="0" TheC="0" TheZ="0" PositionX="{x}" PositionXUnit="mm" PositionY="2"/>'
    return f'<Image Name="{name}"><Pixels>{named}<MetadataOnly/>{plane}</Pixels></Image>'


def write_collection(root: Path, zarr_format: Any, series: Sequence[str], xml: str, **image: Any) -> None:
    """Images of two channels without names, as a converter that leaves them to the OME-XML."""
    group = zarr.create_group(root, zarr_format=zarr_format)
    put(group, {"bioformats2raw.layout": 3})
    put(group.create_group("OME"), {"series": list(series)})
    for i in sorted(series):
        put_image(group.create_group(i), **image)
    (root / "OME/METADATA.ome.xml").write_text(xml, "utf-8")


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_ome_xml_of_a_collection_tells_of_series_before_they_are_read(
    tmp_path: Path, zarr_format: Any, isolate: bool
) -> None:
    xml = ome_xml(ome_image("overview", 1.5, "DAPI"), ome_image("scan 40×", -2, "GFP"))
    write_collection(tmp_path / "c.zarr", zarr_format, ["1", "0"], xml)  # its order is that of the images
    with open_dataset(tmp_path / "c.zarr", isolate=isolate) as dataset:
        info = dataset.info
        assert [position.title for position in info.positions] == ["overview", "scan 40×"]
        assert [(each.x_um, each.y_um, each.z_um) for each in info.positions] == [
            (1500.0, 2.0, None),
            (-2000.0, 2.0, None),
        ]
        assert not info.warnings
        assert dataset.channels == ("DAPI",)
        (channel,) = dataset.image("scan 40×").channels
        assert (channel.name, channel.color, channel.emission_nm) == ("GFP", "#00FF00", 520)
        assert dataset.info.positions == info.positions


def test_what_images_say_of_themselves_comes_before_the_ome_xml(tmp_path: Path) -> None:
    said = {"transforms": [SCALE, move(0, 7, 9)], "omero": {"channels": [{"label": "mine"}]}}
    write_collection(tmp_path / "c.zarr", 2, ["0"], ome_xml(ome_image("overview", 1.5, "DAPI")), **said)
    with open_dataset(tmp_path / "c.zarr") as dataset:
        assert dataset.channels == ("mine",)
        assert dataset.info.positions[0][2:4] == (9.0, 7.0)


def test_series_of_one_name_are_told_apart_by_their_numbers(tmp_path: Path) -> None:
    write_collection(
        tmp_path / "c.zarr", 2, ["0", "1"], ome_xml(ome_image("scan", 0, "A"), ome_image("scan", 1, "A"))
    )
    with open_dataset(tmp_path / "c.zarr") as dataset:
        assert [position.title for position in dataset.info.positions] == ["series:0", "series:1"]
        assert dataset.info.positions[1].x_um == 1000.0


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        ("<OME", "is not OME-XML"),
        ('<!DOCTYPE x [<!ENTITY a "aa">]>' + ome_xml(ome_image("x", 0, "A")), "is not OME-XML"),
        (ome_xml(*[ome_image("x", 0, "A")] * 3), "describes 3 images, not 1"),
        (" " * (16 * 1024**2 + 1), "at most"),
    ],
    ids=["broken", "entities", "other images", "too large"],
)
def test_an_ome_xml_that_is_of_no_use_is_only_a_warning(tmp_path: Path, xml: str, why: str) -> None:
    write_collection(tmp_path / "c.zarr", 3, ["0"], xml)
    with open_dataset(tmp_path / "c.zarr") as dataset:
        assert dataset.positions == ("series:0",)
        assert dataset.channels == ("Ch0",)
        (warning,) = [each for each in dataset.info.warnings if "METADATA.ome.xml" in each]
        assert why in warning
