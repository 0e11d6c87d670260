"""Addition without a modulus: the toy task of the paper (section 2)."""

from grokking_pl.tasks.pairs import check_symbols, integer_names, ordered_pairs, unordered_pairs
from grokking_pl.tasks.table import OperationTable


def addition(p: int, ordered: bool = False) -> OperationTable:
    """Addition i + j of the integers 0 .. p - 1, over unordered pairs i <= j.

    The p(p + 1)/2 samples are ordered with i outer, j inner; the 2p - 1 result classes are named after the sums.

    Args:
        p: number of symbols; the paper has 10.
        ordered: include all p² ordered pairs instead of each pair once, as in figure 2 b.

    Raises:
        UserError: p is below 2.

    >>> table = addition(10)
    >>> len(table), table.num_results
    (55, 19)
    """
    check_symbols(p, "addition")
    a, b = ordered_pairs(p) if ordered else unordered_pairs(p)
    return OperationTable(a, b, a + b, integer_names(p), integer_names(2 * p - 1), commutative=True, name="a + b")
