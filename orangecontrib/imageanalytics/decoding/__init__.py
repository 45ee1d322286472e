"""What `pixels.decode` is made of: the formats, their depths and modes, and what they cost."""
