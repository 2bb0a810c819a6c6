"""The second scoring of a lead: its band, its clock, when it comes back, and today's list."""

from __future__ import annotations

from pathlib import Path

from conftest import read_scored
from features.ingest import read_tables
from project.folder import find_project
from serving.load import load_named_model


def test_a_lead_leaves_its_band_only_clearly_below_the_threshold(scored_twice: Path) -> None:
    first, second = read_scored(scored_twice / "a.csv"), read_scored(scored_twice / "b.csv")
    policy = load_named_model(find_project(scored_twice))[0].policy
    both = second.merge(first, on="lead_id", suffixes=("", "_then"))
    leave = policy.mql * (1 - policy.hysteresis)
    was_above = both["band_then"].isin(["SQL", "MQL"]) & both["band_rule_then"].str.contains("probability")
    below = both["probability"].between(leave, policy.mql, inclusive="left")
    kept = both.loc[was_above & below]
    assert len(kept) > 3
    assert set(kept["band"]) == {"MQL"}
    assert kept["band_rule"].str.startswith("kept MQL: ").all()
    others = both.loc[below & (both["band_then"] == "nurture")]
    assert set(others["band"]) == {"nurture"}


def test_clocks_run_from_the_decision_that_put_a_lead_into_its_band(scored_twice: Path) -> None:
    first, second = read_scored(scored_twice / "a.csv"), read_scored(scored_twice / "b.csv")
    both = second.merge(first, on="lead_id", suffixes=("", "_then"))
    stayed = both["band"] == both["band_then"]
    for band in ("SQL", "MQL"):
        own = both.loc[both["band"] == band]
        assert (own.loc[stayed, "due_at"] == own.loc[stayed, "due_at_then"]).all()
        assert (own.loc[~stayed, "due_at"] > "2025-12-20").all()
    sent = both.loc[(both["band"] == "nurture") & stayed]
    assert (sent["come_back_at"] == "2026-01-09T00:00:00Z").all()
    assert second.loc[second["band"].isin(["SQL", "MQL"]), "come_back_at"].isna().all()
    assert second.loc[second["band"].isin(["nurture", "disqualified"]), "due_at"].isna().all()


def test_nurture_comes_back_for_three_new_events_and_not_for_two(scored_twice: Path) -> None:
    second = read_scored(scored_twice / "b.csv")
    tables = read_tables(find_project(scored_twice))
    counted = tables.connection.execute(
        "SELECT lead_id, count(*) AS n FROM events WHERE recorded_at >= TIMESTAMP '2025-12-10' AND "
        "recorded_at < TIMESTAMP '2025-12-20 06:30:00' AND kind NOT LIKE 'touch%' GROUP BY lead_id"
    ).df()
    first = read_scored(scored_twice / "a.csv")
    stayed = first.loc[first["band"] == "nurture", "lead_id"]
    waiting = second.loc[(second["band"] == "nurture") & second["lead_id"].isin(stayed)].merge(counted, how="left")
    back = waiting["come_back_because"].notna()
    assert (waiting.loc[back, "n"] >= 3).all()
    assert (waiting.loc[~back, "n"].fillna(0) < 3).all()
    assert waiting.loc[back, "come_back_because"].str.fullmatch(r"\d+ new events since 10 December 2025").all()


def test_todays_list_never_exceeds_the_cap_and_the_rest_overflows(scored_twice: Path) -> None:
    settings = find_project(scored_twice).settings
    cap = settings.bands.cap_of_a_day(settings.capacity)
    scored = read_scored(scored_twice / "b.csv")
    today = scored.loc[scored["band"] == "SQL", "today"]
    places = today.loc[today != "overflow"].astype(float)
    assert cap is not None
    assert sorted(places) == list(range(1, min(cap, len(today)) + 1))
    assert scored.loc[scored["band"] != "SQL", "today"].isna().all()
    best = scored.loc[scored["band"] == "SQL"].sort_values("expected_value", ascending=False)
    assert best["today"].head(cap).astype(float).tolist() == list(range(1, min(cap, len(best)) + 1))
