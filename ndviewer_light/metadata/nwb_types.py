"""The NWB types that are images, in HDF5 files and in references to them."""

from __future__ import annotations

IMAGE_SERIES = ("ImageSeries", "OpticalSeries", "TwoPhotonSeries", "OnePhotonSeries")
"""The endings of the names of image types."""

NO_PICTURES = ("ImageMaskSeries",)

SINGLE_IMAGES = {"GrayscaleImage": "xy", "RGBImage": "xyc", "RGBAImage": "xyc"}
"""The types of single images, and the roles of their axes."""

UM_PER_CM = 1e4
"""Their "resolution" is in pixels per cm."""

REGIONS = "PlaneSegmentation"
"""The type of tables of regions of interest, with their masks."""

MASKS = "image_mask"
"""What they are called in such a table, unless they are lists of pixels."""

LISTS = {"pixel_mask": "xy", "voxel_mask": "xyz"}
"""What masks that are lists of pixels are called, and the coordinates in their records."""

MAX_SHORT = 16
"""The maximum number of values in image metadata; more are data."""
