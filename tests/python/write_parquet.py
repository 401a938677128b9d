"""Writes the same 20,000 rows of every type as Parquet files of several codecs and writers' habits."""

import datetime
import decimal
import pathlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

folder = pathlib.Path(sys.argv[1])
n = 20_000
i = np.arange(n)
table = pa.table({
    "i": pa.array(i, pa.int64()),
    "small": pa.array((i % 32).astype(np.int8), pa.int8()),
    "x": pa.array([None if k % 4 == 0 else k / 3 for k in range(n)], pa.float64()),
    "f": pa.array(np.full(n, 0.25, np.float32), pa.float32()),
    "ok": pa.array([None if k % 5 == 0 else k % 2 == 1 for k in range(n)], pa.bool_()),
    "Größe": pa.array([None if k % 7 == 3 else f"wert {k % 7}" for k in range(n)]),
    "day": pa.array([datetime.date(2024, 1, 1)] * n, pa.date32()),
    "seen": pa.array([datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=int(k)) for k in i], pa.timestamp("ms")),
    "amount": pa.array([decimal.Decimal(k + 1) / 100 for k in range(n)], pa.decimal128(20, 2)),
    "u": pa.array(np.uint32(4294967295) - i.astype(np.uint32), pa.uint32()),
    "nanos": pa.array(np.datetime64("2024-01-01", "ns") + (np.maximum(i, 1) * 1000).astype("timedelta64[ns]"), pa.timestamp("ns", "UTC")),
    "tags": pa.array([["a"]] * n, pa.list_(pa.string())),
})
for codec in ("snappy", "zstd", "gzip"):
    pq.write_table(table, folder / f"{codec}.parquet", compression=codec)
pq.write_table(table, folder / "none.parquet", compression="none", use_dictionary=False, data_page_version="2.0")
pq.write_table(table, folder / "small_groups.parquet", row_group_size=777, data_page_size=512)
pq.write_table(table, folder / "spark.parquet", use_deprecated_int96_timestamps=True)
