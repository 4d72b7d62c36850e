"""The reader plug-in for napari (declared in ``napari.yaml``); does not import napari."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..engine.dataset import Dataset
    from ..model import Channel

    Layer = tuple[Any, dict[str, Any], str]  # data, arguments of napari's add_image, layer type


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[Layer]] | None:
    """The function that makes layers of the dataset at `path`; None if unsupported: napari tries others."""
    from ..sources import registry

    if isinstance(path, list):  # a stack of files, for which the folder should be opened instead
        return None
    return read if registry.is_recognised(path) else None


def read(path: str | list[str]) -> list[Layer]:
    """One lazy image layer for each channel, axes (time, fov, z, y, x) without those of size 1, scale in µm.

    Positions that differ in size or channels have layers of their own.
    Pyramid levels become multiscale. Blocks until the metadata is read; raises a `DatasetError`.
    """
    from ..engine.to_xarray import groups_of
    from ..opening import open_dataset

    if isinstance(path, list):
        raise DatasetError("several files do not make a dataset; open their folder instead")
    dataset = open_dataset(path)  # stays open as long as the layers exist
    groups = groups_of(dataset)
    return [
        layer
        for name, group in groups.items()
        for layer in _layers(dataset, group, name if len(groups) > 1 else "")
    ]


def _layers(dataset: Dataset, positions: Sequence[int], label: str) -> list[Layer]:
    """The layers of positions that are equal; `label` says which they are if others differ."""
    from ..engine.to_xarray import array_of

    image = dataset.info.image(positions[0])
    levels = [
        array_of(dataset, level, "fill", positions) for level in range(len(dataset.levels(positions[0])))
    ]
    kept = [axis for axis in ("time", "fov", "z") if levels[0].sizes[axis] > 1]
    dropped = dict.fromkeys({"time", "fov", "z"} - set(kept), 0)
    steps = {"z": image.z_step_um, "y": image.pixel_size_y_um, "x": image.pixel_size_x_um}
    layers: list[Layer] = []
    for c, channel in enumerate(image.channels):
        data = [level.isel(dropped | {"channel": c}).transpose(*kept, "y", "x").data for level in levels]
        said = {
            **_look(dataset, channel, positions, label),
            "scale": [steps.get(axis) or 1.0 for axis in (*kept, "y", "x")],
            "multiscale": len(data) > 1,
        }
        layers.append((data if len(data) > 1 else data[0], said, "image"))
    return layers


def _look(dataset: Dataset, channel: Channel, positions: Sequence[int], label: str) -> dict[str, Any]:
    info = dataset.info
    image = info.image(positions[0])
    name = channel.name if len(image.channels) > 1 else f"{info.name} {channel.name}".strip()
    rgb = [int(channel.color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    look: dict[str, Any] = {
        "name": f"{label} {name}".strip(),
        "colormap": {"name": channel.color, "colors": [[0.0, 0.0, 0.0, 1.0], [*rgb, 1.0]]},
        "blending": "additive",
        "visible": channel.visible,
        "metadata": {"format": info.format, "positions": [info.positions[p].title for p in positions]},
    }
    if channel.window is not None:
        look["contrast_limits"] = list(channel.window)
    return look
