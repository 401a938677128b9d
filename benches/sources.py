"""pandas.read_sql on a table, as a notebook would call it. Arguments: address, rows' SELECT, repeats.

Prints the fastest run in seconds as JSON.
"""

import json
import sys
import time

import pandas
import sqlalchemy

address, select, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3])
engine = sqlalchemy.create_engine(address)
seconds = []
with engine.connect() as connection:
    for _ in range(repeats):
        start = time.perf_counter()
        frame = pandas.read_sql(sqlalchemy.text(select), connection)
        seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(seconds), "rows": len(frame)}))
