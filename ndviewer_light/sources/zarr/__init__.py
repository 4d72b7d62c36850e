"""OME-Zarr: images, plates, wells and arrays, on disk, on servers and in archives."""
