"""A program for `torchrun`: several runs of `grok`, one after the other, in one group of processes."""

import json
import sys

from grokking_pl.commands.main import main

if __name__ == "__main__":
    for arguments in json.loads(sys.argv[1]):
        main(arguments)
