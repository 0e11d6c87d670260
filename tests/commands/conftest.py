"""The finished folders that the tests of the reports share."""

from tests.report.conftest import diagram_folder, run_folder

__all__ = ["diagram_folder", "run_folder"]
