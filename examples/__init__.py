"""The example workflows and their photos: in Orange, see Help > Example Workflows.

Installed, this folder is the package `orangecontrib.imageanalytics.tutorials`.
"""
