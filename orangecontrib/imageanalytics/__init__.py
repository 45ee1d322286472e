"""Image analytics for Orange: tables of images into tables of numbers."""

__version__ = "0.1.0"
