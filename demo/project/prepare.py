"""Writes the datasets that come with scikit-learn as CSV and Parquet, into data/."""

import argparse
from pathlib import Path

from sklearn import datasets

options = argparse.ArgumentParser()
options.add_argument("--unique", action="store_true", help="leave out rows that appear twice")
options.add_argument("--scaled", action="store_true", help="pixels from 0 to 1 instead of 0 to 16")
args = options.parse_args()

Path("data").mkdir(exist_ok=True)
for name in ("breast_cancer", "diabetes", "digits", "iris", "wine"):
    table = getattr(datasets, f"load_{name}")(as_frame=True).frame
    if args.unique:
        table = table.drop_duplicates()
    if args.scaled and name == "digits":
        table = table / table.max().where(lambda top: top == 16, 1)
    table.to_csv(f"data/{name}.csv", index=False)
    table.to_parquet(f"data/{name}.parquet", index=False)
