#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""compile_commands.py COMMAND FILE... [-- COMMAND FILE...]...: a compilation database on standard output.

The Makefile gives it the commands, so that there is one place where flags are written down.
"""

import json
import os
import sys


def entries(words):
    command = None
    for word in words:
        if word == "--":
            command = None
        elif command is None:
            command = word
        else:
            yield {"directory": os.getcwd(), "file": word, "command": f"{command} -c {word}"}


json.dump(list(entries(sys.argv[1:])), sys.stdout, indent=1)
