"""The embedding server that anyone can host, in place of the public one (extra: ``server``).

    python -m orangecontrib.imageanalytics.server --models FOLDER

serves the bundled models and those of a folder by the public server's protocol, from the same
engine that embeds locally. Images are neither written to disk nor to the log.
"""
