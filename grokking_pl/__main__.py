"""``python -m grokking_pl`` runs the ``grok`` command.

Python searches for modules first in the working directory (with ``-m``) or beside the file it runs. ``grok`` searches
the working directory last, so that a user's ``random.py`` never shadows Python's own.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

if __name__ == "__main__":
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) not in (HERE, os.getcwd())]

    from grokking_pl.commands.main import main

    main()
