"""What models there are: the catalogue's, and the user's own."""
