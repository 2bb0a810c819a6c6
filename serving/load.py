"""Load a saved model by its name, verified to the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from features.catalogue import Catalogue
from features.rows import build_features_of_rows
from models.artefact import load_model, read_manifest
from models.lead_model import LeadModel
from models.registry import find_model

if TYPE_CHECKING:
    import pandas as pd

    from project.folder import Project

__all__ = ["load_named_model"]


def load_named_model(project: Project, name: str = "champion") -> tuple[LeadModel, Catalogue]:
    """Load a model by alias or id, verified, with its catalogue.

    Raises
    ------
    ArtefactError
        It is damaged, or does not answer as it did when it was saved.
    """
    folder = find_model(project.state, name)
    catalogue = Catalogue.from_json(read_manifest(folder)["catalogue"])

    def build(canary: Mapping[str, Any]) -> pd.DataFrame:
        return build_features_of_rows(canary["tables"], canary["snapshots"], catalogue)

    return load_model(folder, build_canary=build, verified=project.state / "verified"), catalogue
