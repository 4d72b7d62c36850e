"""Label images (masks) drawn over the picture: reading them, drawing them, choosing them."""
