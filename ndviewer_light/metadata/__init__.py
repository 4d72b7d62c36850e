"""Parses documents that describe images (NGFF, OME-XML, Squid's files, TIFF tags). No pixels."""
