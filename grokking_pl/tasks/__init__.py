"""Tasks: tables of binary operations, as pure functions of their parameters."""

from grokking_pl.tasks.cayley import finite_group
from grokking_pl.tasks.custom import from_operation
from grokking_pl.tasks.equations import OPERATORS, Equations, equations
from grokking_pl.tasks.modular import (
    modular_addition,
    modular_division,
    modular_multiplication,
    modular_subtraction,
)
from grokking_pl.tasks.permutations import (
    permutation_group,
    symmetric_group,
    symmetric_group_conjugation,
    symmetric_group_xyx,
)
from grokking_pl.tasks.polynomials import (
    add_if_even_else_multiply,
    add_if_even_else_subtract,
    divide_if_odd_else_subtract,
    x2_plus_xy_plus_y2,
    x2_plus_xy_plus_y2_plus_x,
    x2_plus_y,
    x2_plus_y2,
    x3_plus_xy,
    x3_plus_xy2_plus_y,
    x3_plus_y,
)
from grokking_pl.tasks.table import OperationTable
from grokking_pl.tasks.table_file import from_file
from grokking_pl.tasks.toy_addition import addition

__all__ = [
    "OPERATORS",
    "Equations",
    "OperationTable",
    "add_if_even_else_multiply",
    "add_if_even_else_subtract",
    "addition",
    "divide_if_odd_else_subtract",
    "equations",
    "finite_group",
    "from_file",
    "from_operation",
    "modular_addition",
    "modular_division",
    "modular_multiplication",
    "modular_subtraction",
    "permutation_group",
    "symmetric_group",
    "symmetric_group_conjugation",
    "symmetric_group_xyx",
    "x2_plus_xy_plus_y2",
    "x2_plus_xy_plus_y2_plus_x",
    "x2_plus_y",
    "x2_plus_y2",
    "x3_plus_xy",
    "x3_plus_xy2_plus_y",
    "x3_plus_y",
]
