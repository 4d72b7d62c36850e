"""Lines, rectangles and points that are drawn on the picture, and the plot of what lies below them."""
