"""Functions for scripts that access Zarr stores directly, without a dataset; thin wrappers around `sources`.

None of these raises because of what is on disk; each documents its fallback. Any thread; all
block on disk.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from ..errors import DatasetError
from ..metadata import ngff
from ..model import natural_sorted
from ..sources.zarr import layouts
from ..storage.decoding.zarr_guard import array_facts
from ..storage.presentable import presentable

if TYPE_CHECKING:
    from collections.abc import Iterable

    import tensorstore as ts

    from ..sources.zarr.image_locations import ImageLocation
    from ..storage.limits import JsonObject

log = logging.getLogger(__name__)

_STRUCTURE_OF_FORMAT = {
    "ome-zarr plate": "hcs_plate",
    "ome-zarr well": "hcs_plate",
    "ome-zarr per-fov": "per_fov",
    "ome-zarr collection": "per_fov",
    "ome-zarr 6d": "6d",
    "ome-zarr image": "6d",
    "zarr array": "6d",
}


class FovStore(TypedDict):
    """One store of a dataset; a 6-D store is listed once, with `fov` 0, for all fields of its region."""

    region: str
    fov: int
    path: Path


class ZarrMetadata(TypedDict):
    """The metadata of one image; None, ``[]``, ``""`` or False where it is missing.

    `axes` and `channel_colors` are as written, except that colours written as numbers become
    six hex digits.
    """

    axes: list[Any]
    pixel_size_um: float | None
    dz_um: float | None
    channel_names: list[str]
    channel_colors: list[str]
    acquisition_complete: bool


def discover_zarr_v3_fovs(base_path: str | os.PathLike[str]) -> tuple[list[FovStore], str]:
    """Find the stores of a dataset in natural order, and their structure.

    The structure is ``"hcs_plate"``, ``"per_fov"``, ``"6d"`` (also for a single image), or
    ``"unknown"``, then with no stores.
    """
    base = os.path.abspath(base_path)
    try:
        layout = layouts.discover(base)
    except (DatasetError, ValueError) as error:
        log.debug("%s", error)
        if "\0" in base:  # not a valid path, which raises from Python 3.13 on
            return [], "unknown"
        return _stores_without_arrays(Path(base))
    return _stores(layout.places), _STRUCTURE_OF_FORMAT[layout.format]


def _stores(places: Iterable[ImageLocation]) -> list[FovStore]:
    return [
        FovStore(region=place.position.region, fov=place.position.fov, path=Path(place.store))
        for place in places
        if place.refused is None and not place.p_index  # the first FOV of a 6-D store represents all
    ]


def _stores_without_arrays(base: Path) -> tuple[list[FovStore], str]:
    """Stores whose arrays are not written yet: nothing to show, but their paths are known."""
    found = [
        FovStore(region=store.parent.name, fov=0, path=store)
        for store in map(Path, natural_sorted(map(str, base.glob("zarr/*/acquisition.zarr"))))
        if store.is_dir() and not store.parent.name.startswith(".")
    ]
    if not found and base.suffix == ".zarr" and (base / "zarr.json").is_file():
        found = [FovStore(region="default", fov=0, path=base)]
    return found, "6d" if found else "unknown"


def parse_zarr_v3_metadata(zarr_path: str | os.PathLike[str]) -> ZarrMetadata:
    """Read the OME-NGFF, omero and Squid metadata of one image, Zarr v3 or v2.

    Scales are combined as OME-NGFF specifies, in µm; Squid's own values take precedence where it
    gives any.
    """
    said = ZarrMetadata(
        axes=[],
        pixel_size_um=None,
        dz_um=None,
        channel_names=[],
        channel_colors=[],
        acquisition_complete=False,
    )
    path = os.fspath(zarr_path)
    try:
        node = layouts.read_node(path)
        meta = layouts.meta_of(node) if node is not None else None
    except DatasetError as error:
        log.warning("cannot read the metadata of %s: %s", presentable(str(path)), error)
        return said
    if node is None or meta is None:
        return said
    y, x, z, _ = ngff.calibration(meta)
    said["axes"] = _written_axes(node.attributes)
    said["pixel_size_um"] = x or y
    said["dz_um"] = z
    said["channel_names"] = [channel.name for channel in meta.channels]
    said["channel_colors"] = _written_colors(node.attributes, meta)
    said["acquisition_complete"] = bool(meta.complete)
    return said


def _written_axes(attributes: JsonObject) -> list[Any]:
    for place in (attributes.get("ome"), attributes):
        multiscales = place.get("multiscales") if isinstance(place, dict) else None
        for entry in multiscales if isinstance(multiscales, list) else []:
            axes = entry.get("axes") if isinstance(entry, dict) else None
            return axes if isinstance(axes, list) else []
    return []


def _written_colors(attributes: JsonObject, meta: ngff.ImageMeta) -> list[str]:
    if not meta.channels:
        return []
    entries = ngff.lookup(attributes, "omero")["channels"]
    return [
        _written_color(entry) or channel.color.lstrip("#")
        for entry, channel in zip(entries, meta.channels, strict=True)
    ]


def _written_color(entry: object) -> str | None:
    color = entry.get("color") if isinstance(entry, dict) else None
    return color if isinstance(color, str) else None


def open_zarr_tensorstore(path: str | os.PathLike[str], array_path: str = "0") -> ts.TensorStore | None:
    """Open the Zarr v2 or v3 array at `path`/`array_path` (``""``: at `path` itself), read-only.

    None if there is no array that can be opened; the reason is logged. Chunks that are not stored
    read as fill value. After this call, the process must not fork children that use tensorstore.
    """
    folder = os.path.join(path, array_path) if array_path else os.fspath(path)
    try:
        node = layouts.read_node(folder)
        if node is None or node.kind != "array":
            return None
        # keep metadata that would crash tensorstore away from it
        facts = array_facts(node.document, node.version, node.file)
        return _open_judged(folder, facts.version)
    except (DatasetError, ValueError, RuntimeError, OSError) as error:
        log.warning("cannot open %s: %s", presentable(str(folder)), error)
        return None


def _open_judged(folder: str, version: int) -> ts.TensorStore:
    import tensorstore as ts

    spec = {
        "driver": "zarr3" if version == 3 else "zarr",
        "kvstore": {"driver": "file", "path": os.path.join(folder, "")},
        "recheck_cached_metadata": True,
    }
    return ts.open(spec, open=True, read=True).result()
