"""``python -m grokking_pl`` is the command ``grok``.

Python looks for modules first where ``-m`` is given, or beside a file that it runs. ``grok`` looks where the user works
last, so that a user's ``random.py`` is never taken for Python's own.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

if __name__ == "__main__":
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) not in (HERE, os.getcwd())]

    from grokking_pl.commands.main import main

    main()
