"""Axes of Zarr images: those of OME-NGFF 0.6 with their transformations, and those xarray or Zarr v3 name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from stores import needs_zarr_3
from zarr_dialects import PIXELS, write_array

from ndviewer_light import open_dataset
from ndviewer_light.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_zarr_3


def version_6(transforms: list[dict[str, Any]], axes: str = "zyx", **more: Any) -> dict[str, Any]:
    system = [{"name": name, "type": "space", "unit": "nanometer"} for name in axes]
    return {
        "version": "0.6",
        "multiscales": [
            {
                "coordinateSystems": [
                    {"name": "other", "axes": [{"name": name, "type": "array"} for name in axes]},
                    {"name": "physical", "axes": system},
                ],
                "datasets": [{"path": "0", "coordinateTransformations": transforms}],
                **more,
            }
        ],
    }


def between(transform: dict[str, Any]) -> dict[str, Any]:
    return {**transform, "input": {"path": "0"}, "output": {"name": "physical"}}


TRANSFORMS: dict[str, tuple[dict[str, Any], str]] = {
    "sequence": (
        {
            "type": "sequence",
            "transformations": [
                {"type": "scale", "scale": [2000, 500, 250]},
                {"type": "translation", "translation": [1000, 2000, 3000]},
            ],
        },
        "",
    ),
    "affine": (
        {"type": "affine", "affine": [[2000, 0, 0, 1000], [0, 500, 0, 2000], [0, 0, 250, 3000]]},
        "",
    ),
    "affine that shears": (
        {"type": "affine", "affine": [[2000, 0, 0, 1000], [0, 300, 150, 2000], [0, 400, 200, 3000]]},
        "the turn or shear of an affine transformation is not drawn: the image is shown upright",
    ),
    "by dimension": (
        {
            "type": "byDimension",
            "transformations": [
                {
                    "inputAxes": [0],
                    "outputAxes": [0],
                    "transformation": {
                        "type": "sequence",
                        "transformations": [
                            {"type": "scale", "scale": [2000]},
                            {"type": "translation", "translation": [1000]},
                        ],
                    },
                },
                {
                    "input_axes": [1, 2],  # as in drafts
                    "output_axes": [1, 2],
                    "transformation": {"type": "affine", "affine": [[500, 0, 2000], [0, 250, 3000]]},
                },
            ],
        },
        "",
    ),
}


@pytest.mark.parametrize("axes", ["zyx", "kji"])
@pytest.mark.parametrize("kind", TRANSFORMS)
def test_axes_scale_and_place_are_those_of_the_images_own_system(
    tmp_path: Path, kind: str, axes: str
) -> None:
    transform, warning = TRANSFORMS[kind]
    onward = {"type": "scale", "scale": [7, 7, 7], "input": {"name": "physical"}, "output": {"name": "other"}}
    ome = version_6([between(transform)], axes, coordinateTransformations=[onward])
    zarr.create_group(store=str(tmp_path / "x.zarr"), zarr_format=3, attributes={"ome": ome})
    write_array(tmp_path / "x.zarr" / "0", np.stack([PIXELS, PIXELS + 1]), 3)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        info, (position,) = dataset.info, dataset.info.positions
        assert (info.n_t, info.n_z) == (1, 2)
        assert (info.z_step_um, info.pixel_size_y_um, info.pixel_size_x_um) == (2.0, 0.5, 0.25)
        assert (position.z_um, position.y_um, position.x_um) == (1.0, 2.0, 3.0)
        assert [text.partition("zarr.json: ")[2] for text in info.warnings] == ([warning] if warning else [])


ACROSS: dict[str, dict[str, Any]] = {
    "map": {"type": "mapAxis", "mapAxis": [2, 0, 1]},
    "rotation": {"type": "rotation", "rotation": [[0, 0, 1], [1, 0, 0], [0, 1, 0]]},
    "affine": {"type": "affine", "affine": [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]]},
    "by dimension": {
        "type": "byDimension",
        "transformations": [
            {"inputAxes": [2], "outputAxes": [0], "transformation": {"type": "identity"}},
            {
                "inputAxes": [1, 0],
                "outputAxes": [2, 1],
                "transformation": {"type": "scale", "scale": [1, 1]},
            },
        ],
    },
}


@pytest.mark.parametrize("kind", ACROSS)
def test_exchanged_axes_are_read_as_what_they_become(tmp_path: Path, kind: str) -> None:
    """The array has y, x, z; the system of the image z, y, x."""
    before = {"type": "scale", "scale": [500, 250, 2000]}
    after = {"type": "translation", "translation": [1000, 2000, 3000]}
    way = {"type": "sequence", "transformations": [before, ACROSS[kind], after]}
    volume = np.stack([PIXELS, PIXELS + 1, PIXELS + 2])
    zarr.create_group(
        store=str(tmp_path / "x.zarr"), zarr_format=3, attributes={"ome": version_6([between(way)])}
    )
    write_array(tmp_path / "x.zarr" / "0", np.moveaxis(volume, 0, 2), 3)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        info, (position,) = dataset.info, dataset.info.positions
        assert (info.n_z, info.warnings) == (3, ())
        assert (info.z_step_um, info.pixel_size_y_um, info.pixel_size_x_um) == (2.0, 0.5, 0.25)
        assert (position.z_um, position.y_um, position.x_um) == (1.0, 2.0, 3.0)
        np.testing.assert_array_equal(dataset.plane(z=2), volume[2])


@pytest.mark.parametrize("order", [[0, 0, 1], [0, 1], [0, 1, 3], "zyx", None])
def test_an_exchange_that_is_none_is_ignored_with_a_warning(tmp_path: Path, order: object) -> None:
    ome = version_6([between({"type": "mapAxis", "mapAxis": order})])
    zarr.create_group(store=str(tmp_path / "x.zarr"), zarr_format=3, attributes={"ome": ome})
    write_array(tmp_path / "x.zarr" / "0", np.stack([PIXELS, PIXELS + 1]), 3)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        assert "ignored a coordinate transformation 'mapAxis'" in dataset.info.warnings[0]
        np.testing.assert_array_equal(dataset.plane(z=1), PIXELS + 1)


def test_levels_whose_axes_are_in_different_orders_are_refused(tmp_path: Path) -> None:
    ome = version_6([between({"type": "identity"})], "yx")
    across = {"type": "mapAxis", "mapAxis": [1, 0], "input": {"path": "1"}, "output": {"name": "physical"}}
    ome["multiscales"][0]["datasets"].append({"path": "1", "coordinateTransformations": [across]})
    zarr.create_group(store=str(tmp_path / "x.zarr"), zarr_format=3, attributes={"ome": ome})
    write_array(tmp_path / "x.zarr" / "0", version=3)
    write_array(tmp_path / "x.zarr" / "1", PIXELS[::2, ::2].T, version=3)
    with pytest.raises(DatasetError, match="its levels have their axes in different orders"):
        open_dataset(tmp_path / "x.zarr")


def test_an_image_across_its_scene_lies_where_the_scene_puts_it(tmp_path: Path) -> None:
    own = [between({"type": "translation", "translation": [2000, 3000]})]
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    ways = [
        {"type": kind, kind: value, "input": {"path": path, "name": "physical"}, "output": {"name": "world"}}
        for path, kind, value in (("a", "mapAxis", [1, 0]), ("b", "scale", [1, 1]))
    ]
    scene = {"coordinateSystems": [{"name": "world", "axes": axes}], "coordinateTransformations": ways}
    zarr.create_group(
        store=str(tmp_path / "x.zarr"), zarr_format=3, attributes={"ome": {"version": "0.6", "scene": scene}}
    )
    for name in "ab":
        zarr.create_group(
            store=str(tmp_path / "x.zarr" / name), zarr_format=3, attributes={"ome": version_6(own, "yx")}
        )
        write_array(tmp_path / "x.zarr" / name / "0", version=3)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        for p in (0, 1):
            np.testing.assert_array_equal(dataset.plane(p=p), PIXELS)
        places = [(position.y_um, position.x_um) for position in dataset.info.positions]
        assert places == [(3000.0, 2000.0), (2000.0, 3000.0)]  # the scene counts in other units
        (said,) = dataset.info.warnings
        assert "'a' lies across its scene, and is shown by its own axes" in said


INTO_SCENE = {
    "along what both have": ([{"type": "translation", "translation": [10, 20]}], (10, 20), ""),
    "one after the other": (
        [{"type": "mapAxis", "mapAxis": [1, 2]}, {"type": "translation", "translation": [3, 4]}],
        (3, 4),
        "",
    ),
    "affine": ([{"type": "affine", "affine": [[0, 2, 0, 5], [0, 0, 3, 6]]}], (5, 6), ""),
    "from the scene": (
        [{"type": "affine", "affine": [[0, 0, 0], [0.5, 0, -2.5], [0, 0.25, -1.5]]}],
        (5, 6),
        "",
    ),
    "affine among others": (
        [
            {"type": "translation", "translation": [7, 1, 1]},
            {"type": "affine", "affine": [[0, 2, 0, 5], [0, 0, 3, 6]]},
            {"type": "scale", "scale": [10, 10]},
            {"type": "affine", "affine": [[1, 0, 0.5], [0, 1, 0.25]]},
        ],
        (70.5, 90.25),
        "",
    ),
    "bijection": (
        [{"type": "bijection", "forward": {"type": "affine", "affine": [[0, 1, 0, 5], [0, 0, 1, 6]]}}],
        (5, 6),
        "",
    ),
    "turned": (
        [{"type": "affine", "affine": [[0, 0.8, -0.6, 5], [0, 0.6, 0.8, 6]]}],
        (5, 6),
        "the turn or shear of an affine transformation is not drawn",
    ),
    "for other axes": ([{"type": "affine", "affine": [[1, 0, 5], [0, 1, 6]]}], (None, None), "not known"),
    "z in x": (
        [{"type": "affine", "affine": [[0, 1, 0, 5], [0.5, 0, 1, 6]]}],
        (None, None),
        "it is not known where the image lies",
    ),
    "unknown": ([{"type": "displacements", "path": "d"}], (None, None), "not known where the image lies"),
}
"""Transformations from an image of z, y, x into a scene of y and x, where they lead, what is said."""


def scene_with(names: str, ways: list[dict[str, Any]], *, is_from_it: bool) -> dict[str, Any]:
    """A scene with these axes, into which transformations lead the image "a", or out of which they lead."""
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in names]
    ends = {"input": {"path": "a", "name": "physical"}, "output": {"name": "world"}}
    if is_from_it:
        ends = {"input": ends["output"], "output": ends["input"]}
    way = {"type": "sequence", "transformations": ways, **ends} if len(ways) > 1 else {**ways[0], **ends}
    return {"coordinateSystems": [{"name": "world", "axes": axes}], "coordinateTransformations": [way]}


@pytest.mark.parametrize("kind", INTO_SCENE)
def test_an_image_with_more_axes_than_its_scene_lies_where_those_lead_that_both_have(
    tmp_path: Path, kind: str
) -> None:
    ways, place, said = INTO_SCENE[kind]
    scene = scene_with("yx", ways, is_from_it=kind == "from the scene")
    images = {
        "": {"version": "0.6", "scene": scene},
        "a": version_6([between({"type": "identity"})], "zyx"),
    }
    for name, ome in images.items():
        zarr.create_group(store=str(tmp_path / "x.zarr" / name), zarr_format=3, attributes={"ome": ome})
    write_array(tmp_path / "x.zarr" / "a" / "0", np.stack([PIXELS, PIXELS + 1]), version=3)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        dataset.look_at_all()
        (position,) = dataset.info.positions
        assert (position.y_um, position.x_um) == place
        warnings = dataset.info.warnings
        assert any(said in warning for warning in warnings) if said else not warnings


INTO_MORE = {
    "along the axes of the scene": ([{"type": "translation", "translation": [5, 10, 20]}], (5, 10, 20), ""),
    "affine": ([{"type": "affine", "affine": [[0, 0, 5], [2, 0, 10], [0, 2, 20]]}], (5, 10, 20), ""),
    "one after the other": (
        [
            {"type": "translation", "translation": [1, 2]},
            {"type": "affine", "affine": [[0, 0, 5], [1, 0, 10], [0, 1, 20]]},
            {"type": "scale", "scale": [2, 3, 4]},
            {"type": "affine", "affine": [[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0]]},
        ],
        (10.5, 33, 88),
        "",
    ),
    "parts": (
        [
            {
                "type": "byDimension",
                "transformations": [
                    {
                        "inputAxes": [],
                        "outputAxes": [0],
                        "transformation": {"type": "affine", "affine": [[5]]},
                    },
                    {
                        "inputAxes": [0, 1],
                        "outputAxes": [1, 2],
                        "transformation": {"type": "translation", "translation": [10, 20]},
                    },
                ],
            }
        ],
        (5, 10, 20),
        "",
    ),
    "along what both have": ([{"type": "translation", "translation": [10, 20]}], (None, 10, 20), ""),
    "within the image": ([{"type": "affine", "affine": [[2, 0, 10], [0, 2, 20]]}], (None, 10, 20), ""),
    "from the scene": (
        [{"type": "affine", "affine": [[0, 1, 0, -10], [0, 0, 1, -20]]}],
        (None, 10, 20),
        "",
    ),
    "tilted": (
        [{"type": "affine", "affine": [[0.5, 0, 5], [1, 0, 10], [0, 1, 20]]}],
        (None, None, None),
        "it is not known where the image lies",
    ),
}
"""Transformations from an image of y and x into a scene of z, y and x, where they lead, what is said."""


@pytest.mark.parametrize("kind", INTO_MORE)
def test_an_image_with_fewer_axes_than_its_scene_lies_where_the_scene_puts_it(
    tmp_path: Path, kind: str
) -> None:
    ways, place, said = INTO_MORE[kind]
    scene = scene_with("zyx", ways, is_from_it=kind == "from the scene")
    images = {
        "": {"version": "0.6", "scene": scene},
        "a": version_6([between({"type": "identity"})], "yx"),
    }
    for name, ome in images.items():
        zarr.create_group(store=str(tmp_path / "x.zarr" / name), zarr_format=3, attributes={"ome": ome})
    write_array(tmp_path / "x.zarr" / "a" / "0", version=3)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        dataset.look_at_all()
        (position,) = dataset.info.positions
        assert (position.z_um, position.y_um, position.x_um) == place
        warnings = dataset.info.warnings
        assert any(said in warning for warning in warnings) if said else not warnings


def test_images_lie_where_their_own_systems_lead_and_those_beside_a_scene_are_shown(tmp_path: Path) -> None:
    """One is not moved at all, one leads there by a second system of its own, one is not mentioned."""
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]

    def way(kind: str, value: object, start: dict[str, str], end: str) -> dict[str, object]:
        return {"type": kind, kind: value, "input": start, "output": {"name": end}}

    ways = [
        way("identity", [], {"path": "a", "name": "physical"}, "world"),
        way("translation", [10, 20], {"path": "b", "name": "aligned"}, "world"),
    ]
    scene = {"coordinateSystems": [{"name": "world", "axes": axes}], "coordinateTransformations": ways}
    images = {"": {"version": "0.6", "scene": scene}}
    for name in "abc":
        images[name] = version_6([between({"type": "identity"})], "yx")
    images["b"]["multiscales"][0]["coordinateTransformations"] = [
        way("translation", [1, 2], {"name": "physical"}, "aligned")
    ]
    for name, ome in images.items():
        zarr.create_group(store=str(tmp_path / "x.zarr" / name), zarr_format=3, attributes={"ome": ome})
        if name:
            write_array(tmp_path / "x.zarr" / name / "0", version=3)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        dataset.look_at_all()
        places = {each.name: (each.y_um, each.x_um) for each in dataset.info.positions}
        assert places == {"a": (0, 0), "b": (11, 22), "c": (None, None)}
        (said,) = dataset.info.warnings
        assert "the scene does not say where 'c' lies" in said


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("0.6", True),
        ("0.6rc0", True),
        ("0.6.dev3", True),
        ("0.6-dev-spatialdata", True),
        ("0.9.dev1", False),
        (7, False),
    ],
)
def test_an_unknown_version_is_named(tmp_path: Path, version: object, known: bool) -> None:
    ome = {**version_6([between({"type": "scale", "scale": [1, 1]})], "yx"), "version": version}
    zarr.create_group(store=str(tmp_path / "x.zarr"), zarr_format=3, attributes={"ome": ome})
    write_array(tmp_path / "x.zarr" / "0", version=3)
    with open_dataset(tmp_path / "x.zarr") as dataset:
        said = [text for text in dataset.info.warnings if "version" in text]
        assert bool(said) != known
        assert known or f"version {version!r} of OME-NGFF" in said[0]


def test_dimensions_named_by_xarray_are_axes(tmp_path: Path) -> None:
    write_array(
        tmp_path / "x.zarr",
        np.stack([PIXELS, PIXELS + 1]),
        attributes={"_ARRAY_DIMENSIONS": ["time", "y", "x"]},
    )
    with open_dataset(tmp_path / "x.zarr") as dataset:
        assert (dataset.info.n_t, dataset.info.warnings) == (2, ())


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        ("time channel lat lon", "t c y x"),
        ("time energy lat lon", "t z y x"),
        ("scan time row column", "z t y x"),
    ],
)
def test_dimensions_that_are_named_keep_their_meaning_where_those_of_the_plane_are_not(
    tmp_path: Path, names: str, roles: str
) -> None:
    pixels = np.stack([[PIXELS + 2 * i + j for j in range(2)] for i in range(3)])
    write_array(tmp_path / "x.zarr", pixels, 3, dimension_names=names.split())
    with open_dataset(tmp_path / "x.zarr") as dataset:
        (warning,) = dataset.info.warnings
        assert f"axes are called '{names}'; assuming {roles}" in warning
        outer = [role for role in roles.split() if role not in "yx"]
        assert (dataset.plane(**dict(zip(outer, (2, 1), strict=True))) == pixels[2, 1]).all()


def test_a_dimension_that_is_named_is_not_x_because_it_is_the_last(tmp_path: Path) -> None:
    pixels = np.stack([PIXELS, PIXELS + 1, PIXELS + 2], axis=-1)
    write_array(tmp_path / "x.zarr", pixels, 3, dimension_names=["lat", "lon", "time"])
    with open_dataset(tmp_path / "x.zarr") as dataset:
        (warning,) = dataset.info.warnings
        assert "axes are called 'lat lon time'; assuming y x t" in warning
        assert (dataset.plane(t=2) == pixels[..., 2]).all()


def test_a_dimension_with_an_unknown_name_is_not_taken_for_another(tmp_path: Path) -> None:
    pixels = np.stack([PIXELS, PIXELS + 1])
    write_array(tmp_path / "x.zarr", pixels, 3, dimension_names=["angle", "y", "x"])
    with pytest.raises(DatasetError, match="cannot show axis 'angle'"):
        open_dataset(tmp_path / "x.zarr")
    write_array(tmp_path / "y.zarr", pixels, 3, dimension_names=["dim_0", "dim_1", "dim_2"])
    with open_dataset(tmp_path / "y.zarr") as dataset:
        (warning,) = dataset.info.warnings
        assert "axes are called 'dim_0 dim_1 dim_2'; assuming z y x" in warning


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("single", ["phase", "modality"])
def test_an_axis_of_a_single_sample_may_be_called_anything(tmp_path: Path, single: str, version: int) -> None:
    pixels = np.arange(3 * 8 * 9, dtype=np.uint16).reshape(1, 3, 8, 9)
    names = (single, "t", "y", "x")
    attributes = {"_ARRAY_DIMENSIONS": names} if version == 2 else None
    zarr.create_array(
        tmp_path / "x.zarr",
        data=pixels,
        chunks=(1, 1, 8, 9),
        zarr_format=version,
        attributes=attributes,
        dimension_names=names if version == 3 else None,
    )
    with open_dataset(tmp_path / "x.zarr") as dataset:
        assert [dataset.plane(t=t).tolist() for t in range(3)] == pixels[0].tolist()
        assert not dataset.info.warnings
