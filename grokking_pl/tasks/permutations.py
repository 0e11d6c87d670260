"""Groups of permutations, in one-line notation: "021" sends 0 to 0, 1 to 2 and 2 to 1.

The product of a and b is the permutation k -> b[a[k]]: first a, then b, as in sympy.
"""

from itertools import permutations
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor

from grokking_pl.errors import UserError
from grokking_pl.tasks.pairs import check_symbols, is_commutative, ordered_pairs
from grokking_pl.tasks.table import OperationTable

if TYPE_CHECKING:
    from sympy.combinatorics import PermutationGroup

LARGEST_DEGREE = 7
"""S_8 would have 1.6 billion samples."""


def symmetric_group(n: int) -> OperationTable:
    """The symmetric group S_n: product of two permutations of n objects, over all ordered pairs.

    The n! symbols are in lexicographic order, so that symbol 0 is the identity.

    Args:
        n: number of objects permuted, 2 to 7; the paper has 3.

    Raises:
        UserError: n is out of range.

    >>> table = symmetric_group(3)
    >>> len(table), table.symbols
    (36, ('012', '021', '102', '120', '201', '210'))
    """
    elements = _symmetric_elements(n, "symmetric_group")
    return _group_operation(elements, _products(elements), f"S{n}: x y")


def symmetric_group_conjugation(n: int = 5) -> OperationTable:
    """Conjugation x y x⁻¹ in the symmetric group S_n, one of the operations of Power et al. (2022).

    Args:
        n: number of objects permuted, 2 to 7.

    Raises:
        UserError: n is out of range.
    """
    elements = _symmetric_elements(n, "symmetric_group_conjugation")
    product = _products(elements)
    inverse = product.eq(0).int().argmax(1)  # the column in which x meets the identity
    return _group_operation(elements, product[product, inverse[:, None]], f"S{n}: x y x⁻¹")


def symmetric_group_xyx(n: int = 5) -> OperationTable:
    """The operation x y x in the symmetric group S_n, one of the operations of Power et al. (2022).

    Args:
        n: number of objects permuted, 2 to 7.

    Raises:
        UserError: n is out of range.
    """
    elements = _symmetric_elements(n, "symmetric_group_xyx")
    product = _products(elements)
    return _group_operation(elements, product[product, torch.arange(len(elements))[:, None]], f"S{n}: x y x")


def permutation_group(
    generators: "PermutationGroup | list[list[int]]", name: str = "permutation group"
) -> OperationTable:
    """The group that some permutations generate, over all ordered pairs of its elements.

    The symbols are the elements in lexicographic order, so that symbol 0 is the identity.

    Args:
        generators: permutations of 0 .. n - 1 as lists, for example [[1, 2, 3, 0]] for the rotations of a square;
            or a sympy ``PermutationGroup``.
        name: what the group is called in figures and messages.

    Raises:
        UserError: a generator is no permutation, they differ in length, or the group is trivial or too large.

    >>> permutation_group([[1, 2, 0]]).symbols
    ('012', '120', '201')
    """
    from sympy.combinatorics import Permutation, PermutationGroup  # here, because importing sympy takes a second

    if not isinstance(generators, PermutationGroup):
        _check_generators(generators, name)
        generators = PermutationGroup([Permutation(list(generator)) for generator in generators])
    check_symbols(int(generators.order()), name)
    elements = torch.tensor(sorted(generators.generate_schreier_sims(af=True)))
    return _group_operation(elements, _products(elements), name)


def _check_generators(generators: list[list[int]], name: str) -> None:
    if len(generators) == 0:
        raise UserError(f"{name}: there are no generators, expected at least one permutation, such as [1, 2, 0]")
    degree = len(generators[0])
    for generator in generators:
        if sorted(generator) != list(range(degree)):
            raise UserError(
                f"{name}: the generator {list(generator)} is not a permutation of 0 .. {degree - 1}; "
                "give lists that hold each of these numbers once"
            )


def _symmetric_elements(n: int, name: str) -> Int[Tensor, "p n"]:
    if isinstance(n, bool) or not isinstance(n, int) or not 2 <= n <= LARGEST_DEGREE:
        raise UserError(f"{name}: n is {n!r}, expected 2 to {LARGEST_DEGREE} (S_n has n! symbols)")
    return torch.tensor(list(permutations(range(n))))


def _group_operation(elements: Int[Tensor, "p n"], product: Int[Tensor, "p p"], name: str) -> OperationTable:
    a, b = ordered_pairs(len(elements))
    separator = "" if elements.shape[1] <= 10 else "."
    symbols = tuple(separator.join(map(str, element)) for element in elements.tolist())
    return OperationTable(a, b, product.flatten(), symbols, symbols, is_commutative(product), name)


def _products(elements: Int[Tensor, "p n"]) -> Int[Tensor, "p p"]:
    """The index of the product of every two elements of a group, whose elements are in lexicographic order.

    All products descend at once through the tree of the elements' prefixes: at depth k, the node of a product says with
    which elements it agrees in its first k places. No p x p x n array of permutations is ever made.
    """
    p, n = elements.shape
    element_node = torch.zeros(p, dtype=torch.long)
    node = torch.zeros(p, p, dtype=torch.long)
    for place in range(n):
        branches, element_node = torch.unique(element_node * n + elements[:, place], return_inverse=True)
        child = torch.zeros(int(branches[-1]) + 1, dtype=torch.long)
        child[branches] = torch.arange(len(branches))
        image = elements.T[elements[:, place]]  # (p, p): b[a[place]]
        node = child[node.mul_(n).add_(image)]
        if len(branches) == p:
            break
    return node
