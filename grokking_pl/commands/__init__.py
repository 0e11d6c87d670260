"""The ``grok`` command: one file per command, and shared code. Only the interface imports from here."""
