"""Tables on standard output."""

from rich.table import Table

from grokking_pl.commands.tables import print_table


def test_cells_are_printed_as_they_are(capsys):
    """Brackets are not markup, and nothing is cut off."""
    table = Table("group", "path", box=None)
    table.add_row("data.train_indices [all]", "runs/[bold]/" + 300 * "x")
    print_table(table)
    row = capsys.readouterr().out.splitlines()[1]
    assert row.split("  ")[0].strip() == "data.train_indices [all]"
    assert row.rstrip().endswith("runs/[bold]/" + 300 * "x")
