"""A function of a table is computed once for each table and further argument, and forgotten with the table."""

import gc
import weakref

from grokking_pl.metrics.once_per_table import once_per_table
from grokking_pl.tasks import addition


def test_once_for_each_table_and_argument():
    computed = []

    @once_per_table
    def samples_times(table, factor=1):
        computed.append((table.p, factor))
        return factor * len(table)

    small, large = addition(2), addition(3)
    for _ in range(2):
        assert [samples_times(small), samples_times(large), samples_times(small, 5)] == [3, 6, 15]
        assert samples_times(small, factor=7) == 21
    assert computed == [(2, 1), (3, 1), (2, 5), (2, 7)]


def test_forgotten_with_the_table():
    @once_per_table
    def operands(table):
        return table.a.tolist()

    table = addition(2)
    operands(table)
    reference = weakref.ref(table)
    del table
    gc.collect()
    assert reference() is None
