"""OME-NGFF, omero and Squid metadata, as dicts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ndviewer_light.colours import color_for_name
from ndviewer_light.errors import (
    DatasetError,
    LimitExceededError,
    MetadataError,
    UnsupportedError,
)
from ndviewer_light.metadata import ngff, plates
from ndviewer_light.storage.decoding import zarr_guard

U16 = np.dtype(np.uint16)
SPACE = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]


def scale(*values: Any) -> dict[str, Any]:
    return {"type": "scale", "scale": list(values)}


def translation(*values: Any) -> dict[str, Any]:
    return {"type": "translation", "translation": list(values)}


def image(
    *levels: list[dict[str, Any]], axes: list[Any] | None = None, outer: Any = None, **more: Any
) -> ngff.ImageMeta:
    """Metadata of an image with these transformations per level, in NGFF 0.5."""
    datasets = [{"path": str(i), "coordinateTransformations": level} for i, level in enumerate(levels)]
    multiscale = {"axes": SPACE if axes is None else axes, "datasets": datasets}
    if outer is not None:
        multiscale["coordinateTransformations"] = outer
    return ngff.image_meta({"ome": {"version": "0.5", "multiscales": [multiscale]}, **more}, "zarr.json")


# ---- scale and translation -----------------------------------------------------------------


def test_level_and_multiscale_transformations_multiply() -> None:
    meta = image([scale(1, 0.5, 0.5)], [scale(1, 1, 1)], outer=[scale(2, 10, 10)])
    assert [meta.step("y", level) for level in (0, 1)] == [5, 10]
    assert meta.step("z") == 2


def test_identity_hides_nothing() -> None:
    assert image([scale(2, 0.3, 0.3)], outer=[{"type": "identity"}]).step("x") == 0.3


def test_translation_is_scaled_by_what_comes_after_it() -> None:
    meta = image([scale(1, 2, 2), translation(0, 10, 20)], outer=[scale(1, 3, 3), translation(0, 1, 1)])
    assert (meta.origin("y"), meta.origin("x")) == (31, 61)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("nanometer", 1e-3),
        ("angstrom", 1e-4),
        ("micrometer", 1),
        ("millimeter", 1e3),
        ("centimeter", 1e4),
        ("meter", 1e6),
        ("inch", 25400),
        ("micron", 1),
        ("µm", 1),
        ("Micrometers", 1),
        ("micrometre", 1),
        (None, 1),
    ],
)
def test_lengths_are_in_micrometres(unit: str | None, factor: float) -> None:
    axes = [{"name": name, "type": "space", "unit": unit} for name in "yx"]
    assert image([scale(0.5, 0.25)], axes=axes).step("x") == pytest.approx(0.25 * factor)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("millisecond", 1e-3), ("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400), (None, 1)],
)
def test_times_are_in_seconds(unit: str | None, factor: float) -> None:
    axes = [{"name": "t", "type": "time", "unit": unit}, *SPACE[1:]]
    assert image([scale(3, 1, 1)], axes=axes).step("t") == pytest.approx(3 * factor)


@pytest.mark.parametrize("bad", [0, -1, "0.3", True, 1e30, 1e-30, [1], 10**400])
def test_scale_that_makes_no_sense_is_ignored_with_a_warning(bad: object) -> None:
    meta = image([scale(2, 0.3, bad)])
    assert (meta.step("z"), meta.step("y"), meta.step("x")) == (2, 0.3, None)
    assert meta.warnings


def test_null_says_nothing() -> None:
    meta = image([scale(None, 0.3, 0.3)], outer=[scale(2, None, 1)])
    assert (meta.step("z"), meta.step("y"), meta.warnings) == (2, 0.3, ())


def test_unknown_unit_is_ignored_with_a_warning() -> None:
    axes = [{"name": name, "type": "space", "unit": "furlong"} for name in "yx"]
    meta = image([scale(1, 1)], axes=axes)
    assert meta.step("x") is None
    assert "furlong" in meta.warnings[0]


def test_scale_of_the_wrong_length_is_ignored_naming_both_numbers() -> None:
    meta = image([scale(1, 1)])
    assert meta.step("x") is None
    assert "2 values for 3 axes" in meta.warnings[0]


# ---- where things stand --------------------------------------------------------------------

MULTISCALE = {"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "s0"}, {"path": "s1"}]}
OMERO = {"channels": [{"label": "GFP", "color": "00ff00"}]}


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param({"ome": {"multiscales": [MULTISCALE], "omero": OMERO}}, id="0.5"),
        pytest.param({"multiscales": [MULTISCALE], "omero": OMERO}, id="0.4"),
        pytest.param({"ome": {"multiscales": [MULTISCALE]}, "omero": OMERO}, id="mixed"),
    ],
)
def test_metadata_is_found_at_new_and_old_places(attributes: dict[str, Any]) -> None:
    meta = ngff.image_meta(attributes, "x")
    assert ngff.is_image(attributes)
    assert meta.paths == ("s0", "s1")
    assert meta.channels[0].name == "GFP"


@pytest.mark.parametrize("key", ["_squid", "_squid_metadata"])
def test_squid_says_whether_the_run_is_complete(key: str) -> None:
    meta = ngff.image_meta({"multiscales": [MULTISCALE], key: {"acquisition_complete": True}}, "x")
    assert meta.complete is True
    assert ngff.image_meta({"multiscales": [MULTISCALE]}, "x").complete is None


def test_squid_calibration_comes_first_and_its_nulls_say_nothing() -> None:
    squid = {"pixel_size_um": 0.5, "z_step_um": None, "time_increment_s": None}
    axes = [{"name": "t", "type": "time"}, *SPACE]
    assert ngff.calibration(image([scale(1, 2.5, 0.3, 0.3)], axes=axes, _squid=squid)) == (
        0.5,
        0.5,
        2.5,
        None,
    )


def test_time_step_of_one_second_stands_where_squid_is_silent() -> None:
    axes = [{"name": "t", "type": "time", "unit": "second"}, *SPACE]
    assert ngff.calibration(image([scale(1, 1, 0.3, 0.3)], axes=axes)) == (0.3, 0.3, 1, 1)


@pytest.mark.parametrize(
    ("unit", "steps", "expected"),
    [
        pytest.param({}, (1, 1, 1, 1), (None, None, None, None), id="all 1, no unit: nobody measured"),
        pytest.param({}, (1, 2, 1, 1), (1, 1, 2, None), id="one of them was measured"),
        pytest.param({"unit": "micrometer"}, (1, 1, 1, 1), (1, 1, 1, None), id="a unit makes it a figure"),
    ],
)
def test_a_scale_of_one_without_a_unit_is_no_calibration(
    unit: dict[str, str], steps: tuple[float, ...], expected: tuple[float | None, ...]
) -> None:
    axes = [{"name": "t", "type": "time"}, *({"name": n, "type": "space", **unit} for n in "zyx")]
    assert ngff.calibration(image([scale(*steps)], axes=axes)) == expected


# ---- axes ----------------------------------------------------------------------------------


def roles(names: list[str], shape: tuple[int, ...]) -> str:
    meta = image([], axes=[{"name": name} for name in names])
    axes, _ = ngff.resolve_axes(meta, shape, None, "x")
    return "".join(axis.role or "-" for axis in axes)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["t", "c", "z", "y", "x"], "tczyx"),
        (["Time", "FOV", "Channel", "Z", "Y", "X"], "tpczyx"),
        (["position", "y", "x"], "pyx"),
        (["x", "y", "c"], "xyc"),
        (["p", "time", "z", "channel", "x", "y"], "ptzcxy"),
        (["s", "y", "x"], "pyx"),
    ],
)
def test_axes_have_roles_in_any_order_and_subset(names: list[str], expected: str) -> None:
    assert roles(names, (2,) * len(names)) == expected


def test_axis_with_a_name_of_its_own_has_the_role_of_its_type() -> None:
    meta = image([], axes=[{"name": "frames", "type": "time"}, {"name": "y"}, {"name": "x"}])
    assert ngff.resolve_axes(meta, (3, 4, 5), None, "x")[0][0].role == "t"


def test_unknown_axis_with_one_sample_is_accepted_with_more_refused_by_name() -> None:
    assert roles(["angle", "y", "x"], (1, 4, 5)) == "-yx"
    with pytest.raises(UnsupportedError, match="'angle'"):
        roles(["angle", "y", "x"], (2, 4, 5))


@pytest.mark.parametrize("names", [["t", "time", "y", "x"], ["z", "z", "y", "x"], ["a", "a", "y", "x"]])
def test_axes_named_twice_are_refused(names: list[str]) -> None:
    with pytest.raises(MetadataError, match="two axes"):
        roles(names, (1, 1, 4, 5))


def test_axes_that_are_not_those_of_the_array_are_refused_with_both_numbers() -> None:
    with pytest.raises(MetadataError, match=r"3 axes .* 5 dimensions"):
        roles(["z", "y", "x"], (1, 1, 1, 4, 5))


def test_no_plane_without_y_and_x() -> None:
    with pytest.raises(UnsupportedError, match="no y and x"):
        roles(["t", "c", "x"], (1, 1, 4))


@pytest.mark.parametrize(
    ("rank", "expected"), [(2, "yx"), (3, "zyx"), (4, "czyx"), (5, "tczyx"), (6, "ptczyx")]
)
def test_axes_without_names_are_those_of_the_rank_and_a_warning_says_so(rank: int, expected: str) -> None:
    axes, warning = ngff.resolve_axes(ngff.ImageMeta(), (2,) * rank, None, "zarr.json")
    assert "".join(axis.role for axis in axes) == expected
    assert warning is not None
    assert "zarr.json" in warning


@pytest.mark.parametrize(
    ("rank", "said"), [(0, "0 dimensions"), (1, "1 dimension "), (7, "more axes .* than can be shown")]
)
def test_other_ranks_without_names_are_refused(rank: int, said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        ngff.resolve_axes(ngff.ImageMeta(), (2,) * rank, None, "x")


@pytest.mark.parametrize(
    ("names", "expected"), [(("c", "y", "x"), "cyx"), (("dim_0", None, "x"), "zyx"), (("y", "y", "x"), "zyx")]
)
def test_names_an_array_gives_its_dimensions_count_if_understood(
    names: tuple[str | None, ...], expected: str
) -> None:
    axes, _ = ngff.resolve_axes(ngff.ImageMeta(), (2, 3, 4), names, "x")
    assert "".join(axis.role for axis in axes) == expected


# ---- channels ------------------------------------------------------------------------------


def channels(*entries: Any, count: int | None = None, dtype: np.dtype[Any] = U16) -> tuple[Any, ...]:
    meta = ngff.image_meta({"omero": {"channels": list(entries)}}, "x")
    return ngff.channels(meta.channels, len(entries) if count is None else count, dtype)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("20adf8", "#20ADF8"),
        ("#00FF00", "#00FF00"),
        ("FF000080", "#FF0000"),
        (0x0000FF, "#0000FF"),
        (255, "#0000FF"),
        (-16776961, "#FF0000"),  # OMERO: red, opaque, as a signed number
    ],
)
def test_colour_is_shown_exactly_as_written(written: object, shown: str) -> None:
    assert channels({"label": "GFP", "color": written})[0].color == shown


@pytest.mark.parametrize("written", [None, "ZZZZZZ", "#12", "", [], True, 10**30])
def test_colour_comes_from_the_name_where_none_is_written(written: object) -> None:
    assert channels({"label": "GFP", "color": written})[0].color == color_for_name("GFP")


def test_missing_names_are_padded_and_spare_ones_dropped() -> None:
    named = [{"label": "DAPI"}, {"label": None}, {"name": "GFP"}, "nonsense"]
    assert [ch.name for ch in channels(*named, count=5)] == ["DAPI", "Ch1", "GFP", "Ch3", "Ch4"]
    assert [ch.name for ch in channels(*named, count=1)] == ["DAPI"]


def test_names_survive_lone_surrogates() -> None:
    assert channels({"label": "a\ud800"})[0].name.encode("utf-8")


@pytest.mark.parametrize(
    ("window", "dtype", "expected"),
    [
        ({"start": 0, "end": 65535}, U16, None),
        ({"start": 100, "end": 4000, "min": 0, "max": 65535}, U16, (100, 4000)),
        ({"start": 0, "end": 255}, np.dtype(np.uint8), None),
        ({"start": 0, "end": 255}, U16, (0, 255)),
        ({"start": 0.0, "end": 1.0}, np.dtype(np.float32), None),
        ({"start": 5, "end": 5}, U16, None),
        ({"start": 9, "end": 5}, U16, (5, 9)),
        ({"start": math.nan, "end": 5}, U16, None),
        ({"min": 3, "max": 5}, U16, None),
        (None, U16, None),
    ],
)
def test_window_counts_where_narrower_than_the_dtype(
    window: object, dtype: np.dtype[Any], expected: tuple[float, float] | None
) -> None:
    assert channels({"window": window}, dtype=dtype)[0].window == expected


def test_colours_of_8_bits_keep_their_windows() -> None:
    """A contrast of its own for each would change the colours of a picture."""
    window = {"start": 0, "end": 255, "min": 0, "max": 255}
    colours = [{"label": label, "color": label, "window": window} for label in ("FF0000", "00FF00", "0000FF")]
    for entries, dtype, expected in (
        (colours, np.uint8, (0, 255)),
        (colours[:2], np.uint8, None),
        (colours[::-1], np.uint8, None),
        (colours, np.int8, (0, 255)),
    ):
        meta = image([], **{"omero": {"channels": entries}})
        found = ngff.channels(meta.channels, len(entries), np.dtype(dtype))
        assert {channel.window for channel in found} == {expected}


@pytest.mark.parametrize(
    ("written", "nm"),
    [
        ({"value": 450, "unit": "nanometer"}, 450),
        (520, 520),
        ({"value": 0.5, "unit": "micrometer"}, 500),
        ("x", None),
    ],
)
def test_wavelengths_are_in_nanometres(written: object, nm: float | None) -> None:
    assert channels({"emission_wavelength": written})[0].emission_nm == nm


# ---- hypothesis ----------------------------------------------------------------------------

KEYS = (
    *("ome", "multiscales", "omero", "axes", "datasets", "path", "type", "scale", "name", "unit", "channels"),
    *("coordinateTransformations", "plate", "well", "wells", "images", "window", "color", "label", "_squid"),
)
TEXTS = ("", "x", "y", "scale", "translation", "0", "A/1", "..", "micrometer", "00FF00", "\ud800", "µ\n")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)
FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy


@FUZZ
@given(
    st.dictionaries(
        st.sampled_from(["ome", "multiscales", "omero", "plate", "well", "series", "_squid"]), JSON
    )
)
def test_any_json_is_understood_or_refused_with_our_error(attributes: dict[str, Any]) -> None:
    for understand in (ngff.image_meta, plates.plate_wells, plates.well_images, plates.series_paths):
        try:
            understand(attributes, "zarr.json")
        except DatasetError as error:
            assert "zarr.json" in str(error)


@FUZZ
@given(
    order=st.permutations("tczyx"),
    steps=st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=5),
    outer=st.lists(st.floats(1e-2, 1e2), min_size=5, max_size=5),
    new_place=st.booleans(),
    split=st.booleans(),
)
def test_steps_do_not_depend_on_the_way_they_are_written(
    order: list[str], steps: list[float], outer: list[float], new_place: bool, split: bool
) -> None:
    inner = [scale(*steps)] if not split else [scale(*steps), {"type": "identity"}, scale(1, 1, 1, 1, 1)]
    multiscale = {
        "axes": [{"name": name} for name in order],
        "datasets": [{"path": "0", "coordinateTransformations": inner}],
        "coordinateTransformations": [scale(*outer), {"type": "identity"}],
    }
    attributes = {"multiscales": [multiscale]}
    meta = ngff.image_meta({"ome": attributes} if new_place else attributes, "x")
    for axis, step, factor in zip(order, steps, outer, strict=True):
        assert meta.step(axis) == pytest.approx(step * factor)


# ---- arrays judged before native code sees them --------------------------------------------

GOOD_V3: dict[str, Any] = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [2, 8, 9],
    "data_type": "uint16",
    "fill_value": 0,
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 8, 9]}},
    "chunk_key_encoding": {"name": "default"},
    "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
}
GOOD_V2: dict[str, Any] = {
    "zarr_format": 2,
    "shape": [2, 8, 9],
    "chunks": [1, 8, 9],
    "dtype": ">u2",
    "compressor": None,
    "filters": None,
    "fill_value": 0,
    "order": "C",
}


def grid(*chunk: Any) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": list(chunk)}}


def sharded(*inner: int, **more: Any) -> list[dict[str, Any]]:
    configuration = {"chunk_shape": list(inner), "codecs": GOOD_V3["codecs"], **more}
    return [{"name": "sharding_indexed", "configuration": configuration}]


@pytest.mark.parametrize(("good", "version"), [(GOOD_V2, 2), (GOOD_V3, 3)])
def test_sane_arrays_pass_and_big_endian_comes_native(good: dict[str, Any], version: int) -> None:
    facts = zarr_guard.array_facts(good, version, "x")
    assert (facts.shape, facts.dtype) == ((2, 8, 9), U16)


@pytest.mark.parametrize(
    ("version", "change", "error", "says"),
    [
        (3, {"shape": [2**62, 8, 9]}, LimitExceededError, "shape"),
        (3, {"shape": [-1, 8, 9]}, LimitExceededError, "shape"),
        (3, {"shape": [4.5, 8, 9]}, MetadataError, "shape"),
        (3, {"shape": [True, 8, 9]}, MetadataError, "shape"),
        (3, {"shape": "2,8,9"}, MetadataError, "shape"),
        (3, {"shape": None}, MetadataError, "shape"),
        (3, {"shape": [1] * 33}, LimitExceededError, "33 dimensions"),
        (3, {"chunk_grid": grid(10**9, 64, 64)}, LimitExceededError, "GiB"),
        (3, {"chunk_grid": grid(0, 8, 9)}, LimitExceededError, "chunk"),
        (3, {"chunk_grid": grid(8, 9)}, MetadataError, "2 dimensions"),
        (3, {"chunk_grid": {"name": "rectilinear"}}, UnsupportedError, "rectilinear"),
        (3, {"codecs": sharded(10**4, 10**4, 10**4)}, LimitExceededError, "GiB"),
        (3, {"chunk_grid": grid(10**6, 64, 64), "codecs": sharded(1, 1, 1)}, LimitExceededError, "too many"),
        (3, {"codecs": [{"name": "numcodecs.lz4"}]}, UnsupportedError, "numcodecs.lz4"),
        (3, {"codecs": []}, MetadataError, "codecs"),
        (3, {"codecs": sharded(1, 8, 9, index_codecs=-1)}, MetadataError, "index_codecs"),
        (3, {"codecs": sharded(1, 8, 9, index_codecs=["gzip"])}, UnsupportedError, "gzip"),
        (3, {"codecs": [3]}, MetadataError, "codecs"),
        (3, {"data_type": "string"}, UnsupportedError, "string"),
        (3, {"data_type": "r24"}, UnsupportedError, "r24"),
        (3, {"data_type": {"name": "datetime64"}}, UnsupportedError, "datetime64"),
        (3, {"node_type": "group"}, MetadataError, "group"),
        (3, {"zarr_format": 4}, UnsupportedError, "4"),
        (3, {"dimension_names": ["x", "y", "x"]}, MetadataError, "twice"),
        (3, {"storage_transformers": [{"name": "x"}]}, UnsupportedError, "transformers"),
        (2, {"dtype": "|O"}, UnsupportedError, "O"),
        (2, {"dtype": "<U4"}, UnsupportedError, "U4"),
        (2, {"dtype": [["a", "<u2"]]}, UnsupportedError, "dtype"),
        (2, {"compressor": {"id": "lz4"}}, UnsupportedError, "lz4"),
        (2, {"filters": [{"id": "pickle"}]}, UnsupportedError, "pickle"),
        (2, {"chunks": [10**9, 64, 64]}, LimitExceededError, "GiB"),
    ],
)
def test_insane_arrays_are_refused_naming_file_and_field(
    version: int, change: dict[str, Any], error: type[Exception], says: str
) -> None:
    good = GOOD_V3 if version == 3 else GOOD_V2
    with pytest.raises(error, match=says) as raised:
        zarr_guard.array_facts({**good, **change}, version, "a/zarr.json")
    assert "a/zarr.json" in str(raised.value)


@FUZZ
@given(st.dictionaries(st.sampled_from(sorted(GOOD_V3)), JSON, min_size=1, max_size=3))
def test_any_array_metadata_is_judged_or_refused_with_our_error(change: dict[str, Any]) -> None:
    try:
        facts = zarr_guard.array_facts({**GOOD_V3, **change}, 3, "zarr.json")
    except DatasetError as error:
        assert "zarr.json" in str(error)
    else:
        assert len(facts.shape) <= 8
