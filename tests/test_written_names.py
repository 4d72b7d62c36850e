"""Positions and channels are named as their dataset names them, whoever wrote it."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr
from stores import needs_zarr_3

from ndviewer_light import imread, open_dataset
from ndviewer_light.model import Position
from ndviewer_light.sources.zarr import layouts

pytestmark = needs_zarr_3


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ndviewer_light.engine.dataset import Dataset

AXES = [
    {"name": "c", "type": "channel"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]
SCALE = {"type": "scale", "scale": [1.0, 0.5, 0.5]}


def put(group: zarr.Group, attributes: dict[str, Any]) -> None:
    """Write NGFF attributes where its version has them: 0.5 under ``ome``."""
    old = group.metadata.zarr_format == 2
    group.attrs.update(attributes if old else {"ome": {"version": "0.5", **attributes}})


def put_image(
    group: zarr.Group,
    *,
    n_c: int = 1,
    name: str | None = None,
    omero: Any = None,
    transforms: Sequence[Any] = (SCALE,),
    outer: Sequence[Any] = (),
    axes: Sequence[Any] = AXES,
    dtype: str = "u2",
) -> None:
    """Write an image c, y, x as ome-zarr-py does; every channel holds its index + 1."""
    pixels = np.ones((n_c, 16, 24), dtype) * (1 + np.arange(n_c, dtype=dtype))[:, None, None]
    group.create_array("0", data=pixels, chunks=(1, 16, 24))
    multiscale: dict[str, Any] = {
        "axes": list(axes),
        "datasets": [{"path": "0", "coordinateTransformations": list(transforms)}],
        **({"coordinateTransformations": list(outer)} if outer else {}),
        **({} if name is None else {"name": name}),
        "version": "0.4",
    }
    put(group, {"multiscales": [multiscale], **({} if omero is None else {"omero": omero})})


def write_plate(
    path: Path,
    fields: dict[str, list[tuple[str, Any]]],
    acquisitions: Any = None,
    zarr_format: Any = 2,
) -> None:
    """Write an HCS plate: for each well its fields, each a path and an acquisition (None: not given)."""
    plate = zarr.create_group(path, zarr_format=zarr_format)
    wells = [{"path": well, "rowIndex": 0, "columnIndex": i} for i, well in enumerate(fields)]
    said = {"name": "test", "rows": [{"name": "A"}], "columns": [{"name": "1"}], "wells": wells}
    put(plate, {"plate": {**said, **({} if acquisitions is None else {"acquisitions": acquisitions})}})
    for well, images in fields.items():
        listed = [
            {"path": field, **({} if acquisition is None else {"acquisition": acquisition})}
            for field, acquisition in images
        ]
        put(plate.create_group(well), {"well": {"images": listed}})
        for field, _ in images:
            put_image(plate.create_group(f"{well}/{field}"))


def positions_of(path: Path) -> tuple[Position, ...]:
    with open_dataset(path) as dataset:
        return dataset.info.positions


# ---- fields of plates ----------------------------------------------------------------------


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("field", "label", "title"),
    [
        ("pos3", "A1:0", "A1:pos3"),
        ("p0", "A1:0", "A1:p0"),
        ("001007", "A1:1007", "A1:001007"),
        ("0", "A1:0", "A1:0"),
        ("A1_site2", "A1:0", "A1_site2"),
    ],
)
def test_fields_have_the_name_they_are_written_under(
    tmp_path: Path, field: str, label: str, title: str, zarr_format: int
) -> None:
    write_plate(tmp_path / "p.zarr", {"A/1": [(field, None)], "A/2": [(field, None)]}, None, zarr_format)
    with open_dataset(tmp_path / "p.zarr") as dataset:
        first = dataset.info.positions[0]
        assert (first.name, first.label, first.title) == (field, label, title)
        assert dataset.positions == (label, label.replace("A1", "A2"))  # hosts navigate by them
        for name in {label, title}:
            assert dataset.info.position_index(name) == 0
            assert dataset.plane(p=name).max() == 1
        if not field.startswith("A1"):
            with pytest.raises(KeyError, match="2 positions are named"):
                dataset.info.position_index(field)
        with pytest.raises(KeyError, match="no position is named"):
            dataset.plane(p="")


def test_a_name_that_occurs_once_is_enough(tmp_path: Path) -> None:
    write_plate(tmp_path / "p.zarr", {"A/1": [("pos3", None), ("pos12", None), ("pos1", None)]})
    with open_dataset(tmp_path / "p.zarr") as dataset:
        assert [position.name for position in dataset.info.positions] == ["pos1", "pos3", "pos12"]
        assert dataset.info.position_index("pos3") == 1
        assert np.array_equal(dataset.plane(p="pos3"), dataset.plane(p="A1:1"))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_name_in_the_metadata_of_an_image_is_found_before_it_was_shown(
    tmp_path: Path, zarr_format: Any
) -> None:
    path = tmp_path / "c.zarr"
    collection = zarr.create_group(path, zarr_format=zarr_format)
    put(collection, {"bioformats2raw.layout": 3})
    put(collection.create_group("OME"), {"series": ["0", "1", "2"]})
    names = ["overview", "macro image", "detail"]
    for i, name in enumerate(names):
        put_image(collection.create_group(str(i)), n_c=i + 1, name=name)

    def by_name(of: Callable[[Dataset], Any]) -> Any:
        with open_dataset(path) as dataset:
            assert dataset.info.position_index("overview") == 0
            return of(dataset)

    assert by_name(lambda ds: ds.plane(p="detail", c=2)).max() == 3
    assert by_name(lambda ds: ds.position_index("macro image")) == 1
    assert by_name(lambda ds: ds.to_xarray(position="detail")).sizes["channel"] == 3
    assert len(by_name(lambda ds: ds.image("detail")).channels) == 3
    assert by_name(lambda ds: ds.read_planes([(0, "detail", 1, 0)]))[0].max() == 2
    assert by_name(lambda ds: ds.report(p="macro image")).expected == 2
    assert list(by_name(lambda ds: ds.measure(positions=["detail"])).fov.values) == [2]
    assert imread(path, p="macro image").shape == (2, 16, 24)
    with pytest.raises(KeyError, match="no position is named 'label'; available: 'overview', 'macro image'"):
        by_name(lambda ds: ds.plane(p="label"))


def test_fields_found_by_their_folders_keep_their_name(tmp_path: Path) -> None:
    write_plate(tmp_path / "p.zarr", {"A/1": [("007", None)]})
    plate = zarr.open_group(tmp_path / "p.zarr", mode="r+")
    del plate["A/1"].attrs["well"]
    assert positions_of(tmp_path / "p.zarr") == (Position("A1", 7, name="007"),)


# ---- acquisitions --------------------------------------------------------------------------

FIRST, SECOND = {"id": 0, "name": "before drug"}, {"id": 1, "name": "after drug"}


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("Pos{p}/img_{t:09d}_DAPI_000.tif", ("Pos0", "Pos1")),
        ("p{p:04d}_t{t}.tif", ("p0000", "p0001")),
        ("field {p} time {t}.tif", ("field 0", "field 1")),
        ("Exp2t{t:02d}xy{p:02d}.tif", ("xy00", "xy01")),
        ("B2_s{p}_t{t}.tif", ("B2:0", "B2:1")),
    ],
)
def test_fields_in_folders_of_images_have_the_name_they_are_written_under(
    tmp_path: Path, form: str, names: tuple[str, ...]
) -> None:
    for p, t in product(range(2), range(3)):
        file = tmp_path / form.format(p=p, t=t)
        file.parent.mkdir(exist_ok=True)
        tifffile.imwrite(file, np.full((16, 16), 10 * p + t, np.uint16))
    with open_dataset(tmp_path) as ds:
        assert tuple(position.title for position in ds.info.positions) == names
        assert ds.plane(t=2, p=names[1])[0, 0] == 12


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("defined", "used", "expected"),
    [
        ([FIRST, SECOND], (0, 1), ("before drug", "after drug")),
        ([FIRST, SECOND], (1, 1), ("after drug", "after drug")),
        ([FIRST, SECOND], (0, None), ("before drug", "")),
        ([FIRST, SECOND], (0, 7), ("before drug", "7")),  # referenced, not defined
        ([FIRST], (0, 0), ("", "")),  # nothing to tell apart
        ([FIRST], (0, 3), ("before drug", "3")),
        (None, (None, None), ("", "")),
        (None, (2, 2), ("", "")),
        (None, (1, 2), ("1", "2")),
        ([{"id": 0}, {"id": 1, "name": "B"}], (0, 1), ("0", "B")),  # a name is optional
        ([{"id": 0, "name": "A"}, {"id": 1, "name": "A"}], (0, 1), ("A (0)", "A (1)")),
        ([{"id": "0", "name": "A"}, {"id": 1, "name": "B"}], (0, "1"), ("A", "B")),
        ([3, None, {"name": "no id"}, {"id": True}], (0, []), ("", "")),
        ("nonsense", (0, 1), ("0", "1")),
    ],
)
def test_fields_know_their_acquisition_where_there_are_several(
    tmp_path: Path, defined: Any, used: Any, expected: Any, zarr_format: int
) -> None:
    wells = {"A/1": [("0", used[0]), ("1", used[1])], "A/2": [("0", used[0]), ("1", used[1])]}
    write_plate(tmp_path / "p.zarr", wells, defined, zarr_format)
    found = layouts.discover(str(tmp_path / "p.zarr")).places
    assert [place.position.acquisition for place in found] == [*expected, *expected]
    assert [place.position.label for place in found] == ["A1:0", "A1:1", "A2:0", "A2:1"]


def test_a_well_opened_alone_tells_acquisitions_by_their_number(tmp_path: Path) -> None:
    write_plate(tmp_path / "p.zarr", {"A/1": [("0", 0), ("1", 4)]}, [FIRST, SECOND])
    found = layouts.discover(str(tmp_path / "p.zarr" / "A" / "1")).places
    assert [place.position.acquisition for place in found] == ["0", "4"]


# ---- channels ------------------------------------------------------------------------------


def channels_of(tmp_path: Path, omero: Any, n_c: int = 3, dtype: str = "u2") -> Any:
    group = zarr.create_group(tmp_path / "i.zarr", zarr_format=2)
    put_image(group, n_c=n_c, omero=omero, dtype=dtype)
    with open_dataset(tmp_path / "i.zarr") as dataset:
        return dataset.info.channels


def test_names_and_appearance_pass_the_pipe_of_a_reader(tmp_path: Path) -> None:
    write_plate(tmp_path / "p.zarr", {"A/1": [("pos3", None)]})
    omero = {"channels": [{"label": 0, "active": False, "inverted": True, "lut": "fire.lut"}, {}]}
    put(zarr.open_group(tmp_path / "p.zarr" / "A" / "1" / "pos3", mode="r+"), {"omero": omero})
    with (
        open_dataset(tmp_path / "p.zarr") as dataset,
        open_dataset(tmp_path / "p.zarr", isolate=True) as other,
    ):
        assert other.info.channels == dataset.info.channels
        assert other.info.positions == dataset.info.positions
        assert other.info.positions[0].name == "pos3"
        assert other.info.channels[0].lut == "fire.lut"


def test_numbers_are_names_too(tmp_path: Path) -> None:
    found = channels_of(tmp_path, {"channels": [{"label": 0}, {"label": 12}, {"label": 1.5}]})
    assert [channel.name for channel in found] == ["0", "12", "1.5"]


def test_channels_that_are_off_in_the_file_are_off_at_first(tmp_path: Path) -> None:
    found = channels_of(tmp_path, {"channels": [{"active": True}, {"active": False}, {"active": "no"}]})
    assert [channel.visible for channel in found] == [True, False, True]


def test_an_image_with_all_channels_off_is_not_empty(tmp_path: Path) -> None:
    omero = {"channels": [{"active": False}, {"active": False}, {"active": True}]}
    assert [channel.visible for channel in channels_of(tmp_path, omero, n_c=2)] == [True, True]


def test_lookup_tables_and_inversion_are_known(tmp_path: Path) -> None:
    omero = {"channels": [{"lut": "fire.lut"}, {"inverted": True, "color": "00FF00"}, {"lut": 3}]}
    found = channels_of(tmp_path, omero)
    assert [channel.lut for channel in found] == ["fire.lut", "", ""]
    assert [channel.inverted for channel in found] == [False, True, False]


def test_three_channels_without_colours_get_distinct_ones(tmp_path: Path) -> None:
    assert [channel.color for channel in channels_of(tmp_path, None)] == ["#FF00FF", "#00FF00", "#00FFFF"]


def test_one_channel_without_colour_is_white(tmp_path: Path) -> None:
    assert [channel.color for channel in channels_of(tmp_path, None, n_c=1)] == ["#FFFFFF"]


@pytest.mark.parametrize("color", ["ff0000", "#FF0000", "FF0000FF", "#f00", 0xFF0000, -16776961, " FF0000 "])
def test_colours_are_read_in_every_spelling(tmp_path: Path, color: object) -> None:
    assert channels_of(tmp_path, {"channels": [{"color": color}]}, n_c=2)[0].color == "#FF0000"


@pytest.mark.parametrize("color", ["", "red", "#GGGGGG", "12", 2**40, True, None, [255, 0, 0], 1.5])
def test_what_is_no_colour_counts_as_none(tmp_path: Path, color: object) -> None:
    found = channels_of(tmp_path, {"channels": [{"color": color}, {"color": "FF00FF"}]}, n_c=2)
    assert [channel.color for channel in found] == ["#00FF00", "#FF00FF"]


def test_more_or_fewer_channels_named_than_there_are(tmp_path: Path) -> None:
    omero = {"channels": [{"label": "a", "color": "00FFFF"}, "?", {"label": "c"}, {"label": "d"}]}
    found = channels_of(tmp_path, omero, n_c=3)
    assert [channel.name for channel in found] == ["a", "Ch1", "c"]
    assert [channel.color for channel in found] == ["#00FFFF", "#FF00FF", "#00FF00"]


def test_fewer_are_numbered(tmp_path: Path) -> None:
    found = channels_of(tmp_path, {"channels": [{"label": "DAPI"}]}, n_c=3)
    assert [(channel.name, channel.color) for channel in found] == [
        ("DAPI", "#0000FF"),
        ("Ch1", "#FF00FF"),
        ("Ch2", "#00FF00"),
    ]


def test_a_label_that_occurs_twice(tmp_path: Path) -> None:
    found = channels_of(tmp_path, {"channels": [{"label": "x"}, {"label": "x"}, {"label": "GFP"}]})
    assert [(channel.name, channel.color) for channel in found] == [
        ("x", "#FF00FF"),
        ("x", "#00FFFF"),
        ("GFP", "#00FF00"),
    ]


# ---- what positions contain ----------------------------------------------------------------


def test_lazy_arrays_tell_the_acquisition_of_each_position(tmp_path: Path) -> None:
    wells = {"A/1": [("0", 0), ("1", 1)], "A/2": [("0", 0)]}
    write_plate(tmp_path / "p.zarr", wells, [FIRST, SECOND])
    with open_dataset(tmp_path / "p.zarr") as dataset:
        assert dataset.image(0) is dataset.image(1)  # the acquisition alone makes no other image
        acquisitions = dataset.to_xarray().coords["acquisition"]
        assert acquisitions.dims == ("fov",)
        assert list(acquisitions.values) == ["before drug", "after drug", "before drug"]
    write_plate(tmp_path / "q.zarr", wells | {"A/1": [("0", 0)]}, [FIRST])
    with open_dataset(tmp_path / "q.zarr") as dataset:
        assert list(dataset.to_xarray().coords["acquisition"].values) == ["", ""]


def test_a_name_has_one_colour_at_all_positions(tmp_path: Path) -> None:
    write_plate(tmp_path / "p.zarr", {"A/1": []})
    well = zarr.open_group(tmp_path / "p.zarr" / "A" / "1", mode="r+")
    labels = (["x", "y"], ["y", "z"], ["w"], ["x", "GFP"])
    for i, names in enumerate(labels):
        omero = {"channels": [{"label": name} for name in names]}
        put_image(well.create_group(str(i)), n_c=len(names), omero=omero)
    put(well, {"well": {"images": [{"path": str(i)} for i in range(len(labels))]}})
    with open_dataset(tmp_path / "p.zarr") as dataset:
        images = [dataset.image(p) for p in range(4)]
        colors = [{channel.name: channel.color for channel in image.channels} for image in images]
        assert colors[0] == {"x": "#FF00FF", "y": "#00FF00"}
        assert colors[1] == {"y": "#00FF00", "z": "#00FFFF"}
        assert colors[2] == {"w": "#FFFFFF"}
        assert colors[3] == {"x": "#FF00FF", "GFP": "#00FF00"}
        assert {channel.name: channel.color for channel in dataset.info.channels} == {
            name: color for image in reversed(colors) for name, color in image.items()
        }
