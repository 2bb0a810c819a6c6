"""Fit one rival on the rows before the test period and say its probabilities of the test period.

Runs as a process of its own, in any environment that holds the rival: beyond the rival it needs pandas and pyarrow. The
folder holds `examples.parquet` (features, text is a category) and `rows.parquet` (`side`: before, test or empty;
`converted`; `lead`; `arrived`: the order of the leads; `recent`: the latest quarter before the test).

    python benchmarks/rivals.py lightgbm_default FOLDER --threads 2 --seed 1
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# features.py beside this file is called like the room, and must not stand in its way
sys.path[0] = str(Path(__file__).parents[1])

import numpy as np
import pandas as pd

LATE_SHARE = 0.15
MOST_LEVELS = 250


@dataclass(frozen=True)
class Rows:
    """What a rival may see: features and outcomes before the test period, features in it."""

    before: pd.DataFrame
    converted: np.ndarray
    lead: np.ndarray
    late: np.ndarray
    recent: np.ndarray
    test: pd.DataFrame
    threads: int
    seed: int
    time_limit: float

    @property
    def categories(self) -> list[str]:
        """The names of the columns that hold text."""
        return [str(name) for name in self.before.columns if not pd.api.types.is_numeric_dtype(self.before[name])]

    def typed(self, *, most: int | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return both frames with pandas categories, learnt before the test; beyond the `most` frequent is missing."""
        filled = self.before.columns[self.before.notna().any()]  # some libraries stumble over a column without values
        before, test = self.before[filled].copy(), self.test[filled].copy()
        for name in filled.intersection(self.categories):
            levels = pd.CategoricalDtype(sorted(before[name].value_counts().index[:most]))
            before[name], test[name] = before[name].astype("object"), test[name].astype("object")
            before[name], test[name] = _as_known(before[name], levels), _as_known(test[name], levels)
        return before, test


def _as_known(values: pd.Series, levels: pd.CategoricalDtype) -> pd.Series:
    return values.where(values.isin(levels.categories)).astype(levels)


Fitted = Callable[[], np.ndarray]


def fit_base_rate(rows: Rows) -> Fitted:
    """Say the share that converted in the latest quarter before the test."""
    rate = float(rows.converted[rows.recent].mean())
    return lambda: np.full(len(rows.test), rate)


def fit_odoo(rows: Rows) -> Fitted:
    """Train Odoo's naive Bayes as its product would: once a lead."""
    from training.evaluation.rivals import fit_odoo_naive_bayes

    first = ~pd.Series(rows.lead).duplicated().to_numpy()
    model = fit_odoo_naive_bayes(rows.before.loc[first], rows.converted[first])
    return lambda: model.probability(rows.test)


def fit_logistic(rows: Rows) -> Fitted:
    """Fit scikit-learn's logistic regression: levels one-hot, numbers standardised, gaps filled and marked."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    before, test = (_as_plain(frame, rows.categories) for frame in (rows.before, rows.test))
    numbers = [name for name in before.columns if name not in rows.categories and before[name].notna().any()]
    levels = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=20)
    shaped = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    model = make_pipeline(
        ColumnTransformer([("levels", levels, rows.categories), ("numbers", shaped, numbers)]),
        LogisticRegression(max_iter=2_000),
    ).fit(before, rows.converted)
    return lambda: model.predict_proba(test)[:, 1]


def _as_plain(frame: pd.DataFrame, categories: list[str]) -> pd.DataFrame:
    return frame.assign(**{name: frame[name].astype("object").where(frame[name].notna(), "-") for name in categories})


def fit_lightgbm_default(rows: Rows) -> Fitted:
    """Fit LightGBM as it comes."""
    import lightgbm

    before, test = rows.typed()
    model = lightgbm.LGBMClassifier(n_jobs=rows.threads, random_state=rows.seed, verbosity=-1)
    model.fit(before, rows.converted)
    return lambda: model.predict_proba(test)[:, 1]


def fit_lightgbm_tuned(rows: Rows) -> Fitted:
    """Fit LightGBM with the tuned defaults of Holzmüller et al. 2024 (arXiv 2407.04491), stopped on the late leads."""
    import lightgbm

    before, test = rows.typed()
    model = lightgbm.LGBMClassifier(
        n_estimators=1_000, learning_rate=0.04, num_leaves=50, subsample=0.75, subsample_freq=1,
        min_child_samples=40, min_child_weight=1e-7, n_jobs=rows.threads, random_state=rows.seed, verbosity=-1,
    )  # fmt: skip
    late, stop = rows.late, lightgbm.early_stopping(300, verbose=False)
    check = {"eval_X": before[late], "eval_y": rows.converted[late]}
    model.fit(before[~late], rows.converted[~late], **check, callbacks=[stop])
    return lambda: model.predict_proba(test)[:, 1]


def fit_catboost(rows: Rows) -> Fitted:
    """Fit CatBoost as it comes, categories its own way, stopped on the late leads."""
    import catboost

    before, test = (_as_plain(frame, rows.categories) for frame in (rows.before, rows.test))
    model = catboost.CatBoostClassifier(
        random_seed=rows.seed, thread_count=rows.threads, verbose=False, allow_writing_files=False
    )
    late = rows.late
    check = (before[late], rows.converted[late])
    names = rows.categories
    model.fit(before[~late], rows.converted[~late], cat_features=names, eval_set=check, early_stopping_rounds=100)
    return lambda: model.predict_proba(test)[:, 1]


def fit_hist_gradient_boosting(rows: Rows) -> Fitted:
    """Fit scikit-learn's histogram gradient boosting as it comes; it takes 255 levels at most."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    before, test = rows.typed(most=MOST_LEVELS)
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=rows.seed)
    model.fit(before, rows.converted)
    return lambda: model.predict_proba(test)[:, 1]


def fit_autogluon(rows: Rows) -> Fitted:
    """Fit AutoGluon's medium quality within the time limit, tuned on the late leads."""
    from autogluon.tabular import TabularPredictor

    before, test = (_as_plain(frame, rows.categories) for frame in (rows.before, rows.test))
    table = before.assign(converted=rows.converted.astype(int))
    home = tempfile.TemporaryDirectory(prefix="quality-autogluon-")
    predictor = TabularPredictor("converted", eval_metric="log_loss", path=home.name, verbosity=0)
    predictor.fit(
        table[~rows.late], tuning_data=table[rows.late], presets="medium_quality", time_limit=rows.time_limit,
        num_cpus=rows.threads, num_gpus=0,
    )  # fmt: skip

    def say() -> np.ndarray:
        with home:
            return predictor.predict_proba(test)[1].to_numpy(dtype=np.float64)

    return say


RIVALS: dict[str, Callable[[Rows], Fitted]] = {
    "base_rate": fit_base_rate,
    "odoo": fit_odoo,
    "logistic": fit_logistic,
    "lightgbm_default": fit_lightgbm_default,
    "lightgbm_tuned": fit_lightgbm_tuned,
    "hist_gradient_boosting": fit_hist_gradient_boosting,
    "catboost": fit_catboost,
    "autogluon": fit_autogluon,
}
LIBRARIES = {
    "odoo": ("training.evaluation.rivals",),
    "logistic": ("sklearn.compose", "sklearn.impute", "sklearn.linear_model", "sklearn.pipeline"),
    "lightgbm_default": ("lightgbm",),
    "lightgbm_tuned": ("lightgbm",),
    "hist_gradient_boosting": ("sklearn.ensemble",),
    "catboost": ("catboost",),
    "autogluon": ("autogluon.tabular",),
}


def read_rows(folder: Path, *, threads: int, seed: int, time_limit: float) -> Rows:
    """Read what the rival may see; the outcomes of the test period stay in the file."""
    frame = pd.read_parquet(folder / "examples.parquet").replace([np.inf, -np.inf], np.nan)
    rows = pd.read_parquet(folder / "rows.parquet")
    before = (rows["side"] == "before").to_numpy()
    known = rows.loc[before]
    arrived = known["arrived"].to_numpy()
    arrivals = np.unique(arrived)
    return Rows(
        before=frame.loc[before].reset_index(drop=True),
        converted=known["converted"].to_numpy(dtype=bool),
        lead=known["lead"].to_numpy(),
        late=arrived >= arrivals[int(len(arrivals) * (1 - LATE_SHARE))],
        recent=known["recent"].to_numpy(dtype=bool),
        test=frame.loc[(rows["side"] == "test").to_numpy()].reset_index(drop=True),
        threads=threads,
        seed=seed,
        time_limit=time_limit,
    )


def main() -> None:
    """Fit, say, and print what it took as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rival", choices=list(RIVALS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--time-limit", type=float, default=300.0, help="seconds, for AutoGluon")
    options = parser.parse_args()
    rows = read_rows(options.folder, threads=options.threads, seed=options.seed, time_limit=options.time_limit)
    for module in LIBRARIES.get(options.rival, ()):
        importlib.import_module(module)  # importing is not counted
    started, used = time.perf_counter(), time.process_time()
    say = RIVALS[options.rival](rows)
    wall, cpu = time.perf_counter() - started, time.process_time() - used
    np.save(options.folder / f"{options.rival}.npy", np.asarray(say(), dtype=np.float64))
    print(json.dumps({"fit_seconds": wall, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
