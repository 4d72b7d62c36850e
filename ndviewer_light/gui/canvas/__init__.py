"""The picture: what is drawn, its contrast, and what is written over it."""
