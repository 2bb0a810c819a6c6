from __future__ import annotations

import numpy as np
import pandas as pd

from features.catalogue import Catalogue, Feature
from training.evaluation.partitions import part_by_age, part_by_level, part_by_month, part_examples

MONDAY = pd.Timestamp("2025-03-31T12:00", tz="UTC")


def snapshots(*ages: float) -> pd.DataFrame:
    created = pd.Series([MONDAY] * len(ages))
    return pd.DataFrame({"created_at": created, "as_of": created + pd.to_timedelta(pd.Series(ages), unit="D")})


def feature(name: str, origin: str = "lead", kind: str = "category") -> Feature:
    return Feature(name, kind, origin, name, "value", None, "", f"the {name}", "")  # type: ignore[arg-type]


def test_months_are_those_of_the_look() -> None:
    found = part_by_month(snapshots(0, 0.4, 0.6, 31))
    assert found.names == ("2025-03", "2025-04", "2025-05")
    assert found.place.tolist() == [0, 0, 1, 2]


def test_ages_are_named_from_the_youngest() -> None:
    found = part_by_age(snapshots(7, 0, 1 / 24, 7))
    assert found.names == ("on arrival", "1h", "7d")
    assert found.place.tolist() == [2, 0, 1, 2]


def test_many_ages_are_cut_into_few() -> None:
    found = part_by_age(snapshots(*np.linspace(0, 80, 81)))
    assert len(found.names) == 8
    assert found.names[0] == "under 10d"
    assert found.names[-1] == "70d and more"
    assert np.bincount(found.place).tolist() == [10, 10, 10, 10, 10, 10, 10, 11]


def test_levels_come_by_frequency_and_the_rest_share_a_slice() -> None:
    values = pd.Series(["b", "a", "a", None, "c", *(f"rare {n}" for n in range(10)), "b", "a"])
    found = part_by_level(values, kind="letter")
    assert found.kind == "letter"
    assert found.names[:2] == ("a", "b")
    assert len(found.names) == 12
    assert found.names[-1] == "all others"
    assert "not known" in found.names
    assert np.bincount(found.place)[-1] == 3
    assert found.place[:3].tolist() == [1, 0, 0]


def test_twelve_levels_are_all_named() -> None:
    found = part_by_level(pd.Series([f"level {n}" for n in range(12)]), kind="x")
    assert "all others" not in found.names
    assert len(found.names) == 12


def test_categories_of_leads_and_companies_with_few_levels_are_parted() -> None:
    frame = pd.DataFrame(
        {
            "source": ["a", "b", "a", "b"],
            "copy": ["y", "x", "y", "x"],
            "city": ["k", "k", "m", "m"],
            "one": ["z"] * 4,
            "size": [1.0, 2.0, 3.0, 4.0],
            "weekday": ["Mo", "Tu", "Mo", "Tu"],
        }
    )
    catalogue = Catalogue(
        (
            feature("source"),
            feature("copy"),
            feature("city", "account"),
            feature("one"),
            feature("size", kind="number"),
            feature("weekday", "clock"),
        ),
        (),
    )
    look = snapshots(0, 31, 31, 0)
    # ages part the rows as months do here, and the copy as the source: neither is told twice
    assert [one.kind for one in part_examples(look, frame, catalogue)] == ["Month", "the source", "the city"]
    undated = look.assign(as_of=pd.NaT)
    assert [one.kind for one in part_examples(undated, frame, catalogue)] == ["the source", "the city"]


def test_a_category_with_many_levels_is_left_out() -> None:
    frame = pd.DataFrame({"campaign": [f"c{n % 31}" for n in range(62)], "few": [f"c{n % 30}" for n in range(62)]})
    found = part_examples(snapshots(*[0] * 62), frame, Catalogue((feature("campaign"), feature("few")), ()))
    assert [one.kind for one in found] == ["the few"]
