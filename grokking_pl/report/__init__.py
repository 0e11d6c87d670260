"""Interactive reports: a run or a diagram as one self-contained HTML file."""
