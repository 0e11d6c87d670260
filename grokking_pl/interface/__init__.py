"""The Python interface: running experiments, loading results, and metrics of arrays."""
