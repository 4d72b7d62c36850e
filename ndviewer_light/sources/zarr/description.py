"""Further facts about a dataset, for `info`: by what it was recognised, and how its first image is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import DatasetError
from . import layouts
from .chunk_grid import chunks_of
from .tensorstore_context import traffic

if TYPE_CHECKING:
    from ...storage.trees.tree import Tree

_WHY = {
    "ome-zarr plate": "the wells listed in its metadata, or its folders <row>/<column>/<field>",
    "ome-zarr well": "the images listed in its well metadata",
    "ome-zarr per-fov": "stores named fov_<n>.ome.zarr or fov_<n>.zarr in zarr/<region>",
    "ome-zarr 6d": "a position axis, or stores named acquisition.zarr in zarr/<region>",
    "ome-zarr collection": "a bioformats2raw layout, a scene, or several images below one group",
    "ome-zarr image": "the multiscales in its metadata",
    "nwb zarr": "the types of its groups (neurodata_type)",
    "nwb zarr masks": "the type of its group (neurodata_type)",
    "zarr array": "its array metadata; it has no OME metadata",
}


def described(format: str, store: str, tree: Tree) -> dict[str, Any]:
    """See `Source.describe`; of a dataset of this format, whose first image is in `store`."""
    said: dict[str, Any] = {"why": _WHY.get(format, ""), "hosts": list(tree.hosts())}
    if tree.remote:
        said |= dict(zip(("requests", "bytes"), traffic(), strict=True))
    try:
        image = layouts.read_image(store, 0, tree)
    except (DatasetError, IndexError):
        return said
    chunks = chunks_of(image)
    return {
        **said,
        "zarr": image.facts.version,
        "array": image.array,
        "axes": " ".join(axis.name or axis.role for axis in image.axes),
        "shape": list(image.facts.shape),
        "chunks": list(chunks.decoded),
        "shards": list(chunks.stored) if chunks.sharded else None,
        "codecs": list(chunks.codecs),
    }
