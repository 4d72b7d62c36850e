"""Decodes chunks and images within limits: headers are checked before native code sees them."""
