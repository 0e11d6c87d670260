"""Reports to explore: a run or a diagram as one HTML file that needs nothing else."""
