"""Which types of NWB's are images; the same in HDF5 files and in references to them."""

from __future__ import annotations

IMAGE_SERIES = ("ImageSeries", "OpticalSeries", "TwoPhotonSeries", "OnePhotonSeries")
"""How the names of the types end that are images."""

NO_PICTURES = ("ImageMaskSeries",)

MAX_SHORT = 16
"""Numbers in what describes an image; more are data."""
