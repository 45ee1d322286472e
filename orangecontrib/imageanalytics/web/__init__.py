"""HTTP that is not an embedding server: downloads of images, and what failed and why."""
