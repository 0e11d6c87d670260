"""``python -m grokking_pl`` runs the ``grok`` command.

Python searches for modules first in the working directory (with ``-m``) or beside the file it runs. ``grok`` searches
the working directory last, so that a user's ``random.py`` never shadows Python's own.
"""

import sys

if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):  # else Python has added neither
        del sys.path[0]

    from grokking_pl.commands.main import main

    main()
