"""Pictures to files in a folder, where nothing that is there is touched."""

from orangecontrib.imageanalytics.saving.encoding import AS_IT_IS, FORMATS, Format
from orangecontrib.imageanalytics.saving.names import safe_name
from orangecontrib.imageanalytics.saving.new_files import FolderError, Saved
from orangecontrib.imageanalytics.saving.save_images import SaveImages

__all__ = ["AS_IT_IS", "FORMATS", "FolderError", "Format", "SaveImages", "Saved", "safe_name"]
