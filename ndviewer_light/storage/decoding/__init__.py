"""Chunks and pictures decoded within limits: headers are judged before native code sees them."""
