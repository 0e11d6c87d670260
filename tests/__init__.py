import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Every core has a worker, whose threads would wait for those of the others. Torch reads this when it is loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
