"""Runs a notebook as a data scientist would, from top to bottom. Argument: its path.

Prints {"cells": code cells that ran, "pictures": pictures that they drew} as JSON.
"""

import json
import sys

import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
outputs = [output for cell in cells for output in cell.outputs]
print(
    json.dumps(
        {
            "cells": sum(cell.execution_count is not None for cell in cells),
            "pictures": sum("image/png" in output.get("data", {}) for output in outputs),
        }
    )
)
