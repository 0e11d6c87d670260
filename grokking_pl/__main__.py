"""``python -m grokking_pl`` is the command ``grok``."""

from grokking_pl.commands.main import main

if __name__ == "__main__":
    main()
