"""Trees of small files: the metadata of an OME-Zarr dataset, wherever it lies."""
