"""The artefact behind MLflow's pyfunc door: `mlflow models serve`, Spark's UDF and `load_model` answer through it.

MLflow runs this file when it loads a model ("models from code"), so nothing is ever unpickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd

if TYPE_CHECKING:
    from models.lead_model import LeadModel

__all__ = ["LeadPyfunc"]


class LeadPyfunc(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Feature frame in; probability with its interval, log-odds, band, reasons and probabilities within less time out.

    Columns go by name; an absent one is missing.
    """

    def load_context(self, context: Any) -> None:
        """Verify and load the artefact that was logged with the model."""
        from models.artefact import load_model

        self.model: LeadModel = load_model(Path(context.artifacts["artefact"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Score rows of the feature frame.

        `band` follows the thresholds alone: rules read columns that are not features.
        """
        from models.reasons import reason_columns

        frame = _fill_columns(model_input, self.model)
        apart = self.model.take_apart(frame)
        probability = self.model.calibrator.probability(apart.log_odds)
        low, high = self.model.bounds(probability)
        answers: dict[str, object] = {
            "probability": probability,
            "probability_low": low,
            "probability_high": high,
            "log_odds": apart.log_odds,
            "band": self.model.policy.assign(probability).tolist(),
        }
        answers |= reason_columns(self.model.tell(apart, frame, language="en"))
        return pd.DataFrame(answers | self.model.within(frame, apart.log_odds))


def _fill_columns(frame: pd.DataFrame, model: LeadModel) -> pd.DataFrame:
    filled = {}
    for column in model.columns:
        values = frame[column.name] if column.name in frame.columns else pd.Series([None] * len(frame))
        filled[column.name] = values.astype("float64" if column.kind == "number" else "object")
    return pd.DataFrame(filled, index=range(len(frame)) if not filled else None)


# MLflow learns which object is the model from this call; the file is run for it.
mlflow.models.set_model(LeadPyfunc())
