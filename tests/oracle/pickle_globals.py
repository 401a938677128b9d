"""Every name that the pickles of a folder look up, sorted, found without loading them.

Refuses opcodes that could name something that does not stand in the file as plain text.
"""

import pickletools
import sys
from pathlib import Path

HIDDEN = {"STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID"}
names = set()
for path in Path(sys.argv[1]).iterdir():
    for opcode, argument, _ in pickletools.genops(path.read_bytes()):
        assert opcode.name not in HIDDEN, (path, opcode.name)
        if opcode.name == "GLOBAL":
            names.add(argument)
print("\n".join(sorted(names)))
