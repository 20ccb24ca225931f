"""Trains a classifier of handwritten digits on data/digits.parquet: models/digits.joblib."""

import argparse
from pathlib import Path

import joblib
import pandas
from sklearn.linear_model import LogisticRegression

options = argparse.ArgumentParser()
options.add_argument("--strength", type=float, default=1.0, help="larger: the model fits closer")
args = options.parse_args()

table = pandas.read_parquet("data/digits.parquet")
pixels, labels = table.drop(columns="target"), table["target"].astype(int)
model = LogisticRegression(C=args.strength, max_iter=50, tol=0.01).fit(pixels[::2], labels[::2])

Path("models").mkdir(exist_ok=True)
joblib.dump(model, "models/digits.joblib")
print(f"accuracy {model.score(pixels[1::2], labels[1::2]):.3f}")
