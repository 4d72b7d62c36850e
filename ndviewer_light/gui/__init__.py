"""The only folder that knows Qt (through qtpy) and ndv."""
