import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """These networks are so small that threads would wait for each other longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
