"""Labels over a picture: which plane of them, where it lies, in which colours; and in commands."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
import stores
from label_images import CELLS, COLOUR, write_labelled
from PIL import Image
from stores import needs_zarr_3

from ndviewer_light.cli.render import main
from ndviewer_light.engine.dataset import Dataset
from ndviewer_light.engine.label_planes import (
    LabelPlace,
    LabelStackPlace,
    PictureArea,
    label_key,
    label_name,
    label_place,
    label_stack_place,
    path_of_label,
    sampled,
    whole_numbers,
)
from ndviewer_light.engine.stack_resolution import StackResolution
from ndviewer_light.errors import DatasetNotFoundError
from ndviewer_light.isolation.client import IsolatedSource
from ndviewer_light.live.acquisition import announce_6d
from ndviewer_light.live.announced_source import AnnouncedSource
from ndviewer_light.metadata.labels import label_facts
from ndviewer_light.model import Channel, ImageInfo, PlaneKey, Position
from ndviewer_light.opening import open_dataset
from ndviewer_light.rendering import label_surfaces
from ndviewer_light.rendering.label_picture import LabelStyle, coloured, laid_over
from ndviewer_light.rendering.label_surfaces import LabelBlock, surface_of
from ndviewer_light.rendering.labels_over import LabelsOver
from ndviewer_light.rendering.view_picture import ShownPlace
from ndviewer_light.sources.source import LabelPart

if TYPE_CHECKING:
    from pathlib import Path

    from range_server import RangeServer

IMAGE = ImageInfo((Channel("", ""),), 3, 4, 8, 10, np.dtype("u2"), 0.5, 0.5, 2.0)
AT = Position("A1", 0)


def test_the_plane_of_labels_is_that_of_the_image_and_one_serves_all() -> None:
    assert label_key(IMAGE, IMAGE, 2, 3) == PlaneKey(2, 0, 0, 3)
    assert label_key(IMAGE, replace(IMAGE, n_t=1, n_z=1), 2, 3) == PlaneKey(0, 0, 0, 0)
    assert label_key(IMAGE, replace(IMAGE, n_t=2), 2, 0) is None
    assert label_key(IMAGE, replace(IMAGE, n_z=2, z_step_um=4.0), 0, 3) == PlaneKey(0, 0, 0, 1)
    assert label_key(replace(IMAGE, n_z=1), replace(IMAGE, n_t=1, n_z=3), 2, 0) == PlaneKey(0, 0, 0, 2)


def test_labels_lie_where_their_metadata_say() -> None:
    same = label_place(IMAGE, AT, IMAGE, AT, (1.0, 1.0))
    assert same == LabelPlace(0, 0, 1, 1)
    coarse = replace(IMAGE, height=4, width=5, pixel_size_y_um=1.0, pixel_size_x_um=1.0)
    assert label_place(IMAGE, AT, coarse, AT, (2.0, 2.0)) == LabelPlace(0, 0, 4, 4)
    unknown = replace(coarse, pixel_size_y_um=None, pixel_size_x_um=None)
    assert label_place(IMAGE, AT, unknown, AT, (1.0, 1.0)) == LabelPlace(0, 0, 2, 2)
    moved = label_place(IMAGE, AT._replace(x_um=10, y_um=20), IMAGE, AT._replace(x_um=11, y_um=20), (1, 1))
    assert moved == LabelPlace(2, 0, 1, 1)
    # on the stage, and not: the labels of an image are on it
    away = label_place(IMAGE, AT._replace(x_um=9000, y_um=20), IMAGE, AT._replace(x_um=0, y_um=0), (1, 1))
    assert away == LabelPlace(0, 0, 1, 1)


def test_labels_are_known_by_name_or_path() -> None:
    paths = ("/d/x.zarr::labels/cells", "/d/x.zarr::labels/nuclei")
    assert [label_name(path) for path in paths] == ["cells", "nuclei"]
    assert path_of_label("nuclei", paths) == path_of_label(paths[1], paths) == paths[1]
    assert path_of_label("other", paths) is None


def test_labels_beside_an_image_in_hdf5_lie_over_it(tmp_path: Path) -> None:
    path, cells = tmp_path / "a.h5", np.zeros((24, 32), np.uint16)
    cells[4:10, 6:20] = 3
    with h5py.File(path, "w") as file:
        file["a_labels"] = np.broadcast_to(cells, (3, 24, 32))  # as large as the image, which comes first
        file["raw"] = np.full((3, 24, 32), 9, np.uint16)
        file["raw"][:, 0, 0] = 100
        for axis, label in enumerate("tyx"):
            file["raw"].dims[axis].label = label
        file["labels/nuclei"] = cells
        file["mask"] = cells > 0
        file["labels/small"] = cells[::2, ::2]
        file["probabilities_of_labels"] = cells.astype("f4")
        file["classes"] = cells
        file["channel_masks"] = np.zeros((2, 3, 24, 32, 2), np.uint8)
    with open_dataset(f"{path}::/raw") as dataset:
        assert dataset.info.n_t == 3
        names = [label_name(each) for each in dataset.labels(0)]
        assert sorted(names) == ["a_labels", "mask", "nuclei"]
    with open_dataset(f"{path}::/labels/nuclei") as dataset:
        assert dataset.labels(0) == ()
    plain, over = (str(tmp_path / name) for name in ("plain.png", "over.png"))
    given = f"{path}::/raw"
    for name in ("a_labels", "nuclei", "mask"):
        labels = ["--labels", name, "--label-opacity", "1", "--t", "2"]
        assert main([given, "--t", "2", "-o", plain]) == main([given, "-o", over, *labels]) == 0
        differ = (np.asarray(Image.open(plain)) != np.asarray(Image.open(over))).any(axis=-1)
        np.testing.assert_array_equal(differ, cells != 0)


def test_labels_are_no_image_where_there_is_one_as_large(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["labels"], file["raw"] = np.zeros((24, 32), np.uint16), np.ones((24, 32), np.uint16)
    with open_dataset(tmp_path / "a.h5") as dataset:
        assert dataset.plane().max() == 1
        assert [label_name(each) for each in dataset.labels(0)] == ["labels"]


def test_labels_are_sampled_at_the_pixels_of_the_picture() -> None:
    labels = np.arange(1, 7).reshape(2, 3)
    place = LabelPlace(left=2, top=0, step_y=2, step_x=2)  # covers x 2 to 8, y 0 to 4
    seen = sampled(labels, place, PictureArea(0, 0, 8, 4), 4, 8)
    assert np.array_equal(seen, [[0, 0, *row] for row in np.repeat(np.repeat(labels, 2, 0), 2, 1)])
    part = sampled(labels, place, PictureArea(3, 1, 5, 3), 8, 8)
    assert np.array_equal(np.unique(part), [1, 2, 4, 5])
    assert not sampled(labels, place, PictureArea(20, 20, 30, 30), 4, 4).any()


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i4", "u4", "u8", ">u4"])
def test_each_value_has_a_colour_of_its_own(dtype: str) -> None:
    values = np.array([[0, 1, 2, 3, 120, 121]], dtype)
    picture = coloured(
        whole_numbers(values), {2: (9, 8, 7, 255), 10**30: (1, 2, 3, 4)}, LabelStyle(opacity=1)
    )
    assert picture.shape == (1, 6, 4)
    assert picture[0, 0].tolist() == [0, 0, 0, 0]
    assert picture[0, 2].tolist() == [9, 8, 7, 255]
    assert (picture[0, 1:, 3] == 255).all()
    assert len({tuple(pixel) for pixel in picture[0].tolist()}) == 6


def test_the_largest_numbers_and_numbers_with_decimals_are_labels_too() -> None:
    large = np.array([[2**64 - 1, 2**64 - 2, 0]], "u8")
    picture = coloured(large, {2**64 - 1: (1, 2, 3, 200)}, LabelStyle(opacity=1))
    assert picture[0, 0].tolist() == [1, 2, 3, 200]
    assert picture[0, 1].tolist() != picture[0, 0].tolist()
    assert whole_numbers(np.array([[1.0, np.nan, -np.inf, 7.9]])).tolist() == [[1, 0, 0, 7]]
    assert whole_numbers(np.array([[True, False]])).tolist() == [[1, 0]]


def test_an_outline_is_the_inner_edge_of_each_label() -> None:
    labels = np.zeros((20, 30), np.uint16)
    labels[3:17, 3:15], labels[3:17, 15:27] = 1, 2
    drawn = coloured(labels, {}, LabelStyle(outline=True, opacity=0.5))[..., 3]
    inner = np.zeros(labels.shape, bool)
    inner[5:15, 5:13] = inner[5:15, 17:25] = True
    assert (drawn[(labels != 0) & ~inner] == 191).all()
    assert not drawn[(labels == 0) | inner].any()
    filled = coloured(labels, {}, LabelStyle(opacity=0.5))[..., 3]
    assert (filled == np.where(labels != 0, 128, 0)).all()


def test_the_surface_of_labels_is_where_they_end() -> None:
    labels = np.zeros((4, 6, 8), np.uint16)
    labels[1:3, 2:4, 0:3], labels[1:3, 2:4, 3:5] = 7, 9  # which touch each other, and the edge
    surface = surface_of(LabelBlock(labels, (10.0, 0.0, -1.0), (2.0, 1.0, 0.5)), {7: (200, 0, 0, 255)}, 0.5)
    assert surface is not None
    corners, triangles = surface.corners, surface.triangles
    assert corners.min(axis=0).tolist() == [-1.0, 2.0, 12.0]  # x, y, z
    assert corners.max(axis=0).tolist() == [1.5, 4.0, 16.0]
    sides = corners[triangles[:, 1:]] - corners[triangles[:, :1]]
    area = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1).sum() / 2
    assert area == pytest.approx(2 * (2.5 * 2 + 2.5 * 4 + 2 * 4))  # of one box: nothing where they touch
    a, b, c = (corners[triangles[:, i]] - corners.mean(axis=0) for i in range(3))
    volume = (a * np.cross(b, c)).sum() / 6  # positive where all triangles turn outwards
    assert volume == pytest.approx(2.5 * 2 * 4)
    assert set(surface.colours[:, 3]) == {np.float32(128 / 255)}
    assert surface.colours[:, 0].max() == pytest.approx(200 / 255)
    assert surface_of(LabelBlock(labels * 0, (0, 0, 0), (1, 1, 1)), {}, 1) is None


def test_where_a_stack_of_labels_lies_in_a_volume() -> None:
    def placed(labels: ImageInfo, part: range, *, step: int = 1) -> LabelStackPlace:
        at = StackResolution(0, labels.level, 1, step)
        return label_stack_place(IMAGE, AT, labels, AT, at, part)

    assert placed(IMAGE, range(4)) == (range(4), (0, 0, 0), (1, 1, 1))
    assert placed(IMAGE, range(1, 3)) == (range(1, 3), (0, 0, 0), (1, 1, 1))  # the part begins at the origin
    # planes twice as thick: the part begins in the middle of the first
    thick = replace(IMAGE, n_z=2, z_step_um=4.0)
    assert placed(thick, range(1, 4)) == (range(0, 2), (-1, 0, 0), (2, 1, 1))
    assert placed(thick, range(2, 4)) == (range(1, 2), (0, 0, 0), (2, 1, 1))
    assert placed(replace(IMAGE, n_z=1), range(1, 4)) == (range(1), (0, 0, 0), (3, 1, 1))  # through all of it
    # every second row and column, which is drawn around itself
    assert placed(IMAGE, range(4), step=2) == (range(4), (0, -0.5, -0.5), (1, 2, 2))


def test_many_labels_are_drawn_in_larger_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_surfaces, "MOST_FACES", 3000)
    labels = np.zeros((16, 32, 32), np.uint8)
    labels[2:14, 4:28, 4:28] = 1
    surface = surface_of(LabelBlock(labels, (0, 0, 0), (1, 1, 1)), {}, 1)
    assert surface is not None
    assert len(surface.triangles) <= 2 * 3000
    middle = (surface.corners.min(axis=0) + surface.corners.max(axis=0)) / 2
    np.testing.assert_allclose(middle, [16, 16, 8], atol=0.51)  # half a step


def test_a_picture_shines_through_its_labels() -> None:
    picture = np.full((1, 2, 3), 100, np.uint8)
    over = np.array([[[200, 0, 100, 128], [0, 0, 0, 0]]], np.uint8)
    assert laid_over(picture, over).tolist() == [[[150, 50, 100], [100, 100, 100]]]


def test_what_the_metadata_say_of_labels() -> None:
    facts = label_facts(
        {
            "image-label": {
                "colors": [
                    {"label-value": 1, "rgba": [1, 2, 3, 4]},
                    {"label-value": 2, "rgba": [1, 2, 3]},
                    {"label-value": "3", "rgba": [1, 2, 3, 4]},
                    "nonsense",
                ],
                "properties": [
                    {"label-value": 1, "class": "cell\x1b", "area": 2.5, "more": {"of": 1}},
                    {"label-value": 7},
                ],
            }
        }
    )
    assert facts.colours == {1: (1, 2, 3, 4)}
    assert facts.text_of(1) == "class cell\\x1b, area 2.5"
    assert facts.text_of(7) == ""
    nothing = label_facts({"image-label": {"colors": 7}})
    assert (nothing.colours, nothing.properties) == ({}, {})


@needs_zarr_3
def test_labels_of_each_position_are_found_and_described(tmp_path: Path, server: RangeServer) -> None:
    write_labelled(tmp_path / "x.zarr")
    path = str(tmp_path / "x.zarr")
    with open_dataset(path) as dataset:
        assert dataset.labels(0) == (f"{path}::labels/cells", f"{path}::labels/coarse")
    source = IsolatedSource.open(f"{path}::labels/cells")
    try:
        facts = source.label_facts()
        assert source.labels(0) == ()
    finally:
        source.close()
    assert facts.colours == {1: COLOUR}
    assert facts.text_of(2) == "class nucleus"
    # a server cannot list folders, but it can be asked for the group of labels
    url = server.url("x.zarr")
    with open_dataset(url) as dataset:
        assert dataset.info.labels == ()
        assert dataset.labels(0) == (f"{url}::labels/cells", f"{url}::labels/coarse")
        with open_dataset(dataset.labels(0)[0]) as labels:
            assert np.array_equal(labels.plane(), CELLS)


@needs_zarr_3
@pytest.mark.parametrize("how", ["given", "announced"])
def test_a_store_of_several_fields_has_labels_of_each(tmp_path: Path, how: str) -> None:
    stores.write_6d(tmp_path, {"A1": 2, "B2": 3}, sizes={"t": 1, "c": 1, "z": 1})
    paths = [tmp_path / "zarr" / region / "acquisition.zarr" for region in ("A1", "B2")]
    of_fields = np.zeros((3, 1, 1, 1, stores.HEIGHT, stores.WIDTH), np.uint8)
    for fov in range(3):
        of_fields[fov, ..., fov : fov + 2, 3:5] = fov + 1
    stores.write_group(paths[1] / "labels", {"labels": ["cells", "one"]})
    for name, axes, pixels in (("cells", "ptczyx", of_fields), ("one", "tczyx", of_fields[0])):
        store = stores.create_array(paths[1] / "labels" / name / "0", pixels.shape, dtype="uint8")
        store.write(pixels).result()
        attributes = stores.image_attributes(axes, paths=["0"], channels=[""], squid=False)
        stores.write_group(paths[1] / "labels" / name, attributes)
    if how == "given":
        dataset = open_dataset(tmp_path)
    else:
        sizes = (stores.HEIGHT, stores.WIDTH, ["A1", "B2"])
        announced = announce_6d([str(path) for path in paths], ["DAPI"], 1, [2, 3], *sizes)
        dataset = Dataset(AnnouncedSource(announced))
    over, one = (LabelsOver(dataset, name, LabelStyle(opacity=1)) for name in ("cells", "one"))
    blank = np.zeros((stores.HEIGHT, stores.WIDTH, 3), np.uint8)
    with dataset:
        assert dataset.labels(0) == ()
        for fov in range(3):
            drawn = over.laid_over(blank, ShownPlace(0, 2 + fov, 0)).any(axis=-1)
            np.testing.assert_array_equal(drawn, of_fields[fov, 0, 0, 0] != 0)
        assert one.laid_over(blank, ShownPlace(0, 2, 0)).any()
        with pytest.raises(DatasetNotFoundError, match="at position 3, only at others"):
            one.laid_over(blank, ShownPlace(0, 3, 0))
        over.close()
        one.close()


@needs_zarr_3
def test_labels_are_rendered(tmp_path: Path) -> None:
    image = write_labelled(tmp_path / "x.zarr")
    out = tmp_path / "out.png"
    common = [str(tmp_path / "x.zarr"), "-o", str(out), "--contrast", "0:250"]
    assert main(common) == 0
    plain = np.asarray(Image.open(out))
    assert main([*common, "--labels", "cells", "--label-opacity", "1"]) == 0
    with_labels = np.asarray(Image.open(out))
    assert (with_labels[CELLS == 1] == COLOUR[:3]).all()
    assert np.array_equal(with_labels[CELLS == 0], plain[CELLS == 0])
    assert with_labels.shape == (*image.shape, 3)
    assert main([*common, "--labels", "coarse", "--label-opacity", "1", "--z", "max"]) == 0
    coarse = np.asarray(Image.open(out))
    assert np.array_equal((coarse != plain).any(axis=-1), CELLS != 0)
    assert main([*common, "--labels", "other"]) == 1


@needs_zarr_3
def test_other_labels_than_there_are_are_named(tmp_path: Path) -> None:
    write_labelled(tmp_path / "x.zarr")
    with open_dataset(tmp_path / "x.zarr") as dataset:
        over = LabelsOver(dataset, "nuclei", LabelStyle())
        with pytest.raises(DatasetNotFoundError, match=r"no labels 'nuclei'.*there are cells, coarse"):
            over.laid_over(np.zeros((24, 32, 3), np.uint8), ShownPlace(0, 0, 0))


@needs_zarr_3
@pytest.mark.parametrize("is_isolated", [False, True])
def test_parts_of_labels_are_read_beside_their_image(
    tmp_path: Path, is_isolated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ndviewer_light.engine.label_parts._LABEL_PIXELS_AT_ONCE", 50)  # in bands of rows
    write_labelled(tmp_path / "x.zarr")
    whole = LabelPart(0, 0, 0, (0, 0, 32, 24), 24, 32)
    part = whole._replace(area=(14, 2, 30, 22), rows=20, columns=16)
    beside = whole._replace(area=(-8, -8, 8, 8), rows=16, columns=16)
    projected = whole._replace(z="max", rows=12, columns=16)
    with open_dataset(tmp_path / "x.zarr", isolate=is_isolated) as dataset:
        seen, cut, moved, small = dataset.label_parts("cells", [whole, part, beside, projected])
        assert np.array_equal(seen.values, CELLS)
        assert np.array_equal(cut.values, CELLS[2:22, 14:30])
        assert np.array_equal(moved.values[8:, 8:], CELLS[:8, :8]) and not moved.values[:8].any()
        assert np.array_equal(small.values, CELLS[1::2, 1::2])
        assert (seen.facts.colours, seen.facts.text_of(2)) == ({1: COLOUR}, "class nucleus")
        assert cut.facts.colours == {}  # label 1 is not in it
        (coarse,) = dataset.label_parts("coarse", [whole])
        assert np.array_equal(coarse.values, np.repeat(np.repeat(CELLS[::2, ::2], 2, 0), 2, 1))
        (none, elsewhere) = dataset.label_parts("nuclei", [whole, whole._replace(p=7)])
        assert none.values is None and "nuclei" in str(none.error)
        assert elsewhere.values is None
        labels = tmp_path / "x.zarr" / "labels" / "cells"
        shutil.rmtree(labels)
        (known,) = dataset.label_parts("cells", [whole], anew=True)
        assert known.values is None and known.error is not None


@needs_zarr_3
def test_labels_are_rendered_over_all_fields(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plate, out = tmp_path / "p.ome.zarr", tmp_path / "out.png"
    stores.write_plate(plate, {"A/1": 1, "A/2": 1}, sizes={"t": 1, "c": 1, "z": 1, "y": 24, "x": 32})
    for field in ("A/1/0", "A/2/0"):
        write_labelled(plate / field)
    shutil.rmtree(plate / "A/2/0/labels")
    stores.make_old(plate)
    common = [str(plate), "--overview", "-o", str(out), "--contrast", "0:250", "--size", "400"]
    assert main(common) == 0
    plain = np.asarray(Image.open(out)).astype(int)
    assert main([*common, "--labels", "cells", "--label-opacity", "1"]) == 0
    over = np.asarray(Image.open(out)).astype(int)
    rows, columns = np.nonzero((over != plain).any(axis=-1))
    n = (over == COLOUR[:3]).all(axis=-1).sum()
    middle = over.shape[1] // 2
    assert columns.max() < middle  # the other well has none
    pixel = (rows.max() - rows.min() + 1) / 16  # labels span 16 rows
    assert n == pytest.approx(64 * pixel**2, rel=0.1)
    film = tmp_path / "out.gif"
    assert main([*common[:2], "-o", str(film), *common[4:], "--labels", "cells", "--label-opacity", "1"]) == 0
    assert main([*common, "--labels", "nuclei"]) == 1
    assert "there are no labels 'nuclei'" in capsys.readouterr().err
