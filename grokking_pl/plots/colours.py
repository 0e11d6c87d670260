"""The colour that several figures share."""

VERMILION = "#c1440e"
"""Of validation, marks and mistakes."""
