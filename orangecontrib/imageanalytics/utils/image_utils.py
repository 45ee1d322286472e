"""Names under which scripts for Orange3-ImageAnalytics know two functions of `tables`."""

from orangecontrib.imageanalytics.tables import image_columns as filter_image_attributes
from orangecontrib.imageanalytics.tables import references as extract_paths

__all__ = ["extract_paths", "filter_image_attributes"]
