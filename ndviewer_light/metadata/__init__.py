"""Documents that describe images (NGFF, OME-XML, Squid's files, TIFF tags), turned into facts. No pixels."""
