"""The command ``grok``: a file for each command, and what they share. Nothing else in the package imports from here."""
