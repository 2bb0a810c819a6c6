"""A feature has the same bits whatever comes later, whoever stands beside it and in whatever order."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from event_worlds import KINDS, TICK, Event, bits, known, random_world, some
from features.engine import build_features
from project.errors import SchemaError
from worlds import ask, days


@pytest.mark.parametrize("seed", range(100, 104))
def test_the_future_cannot_change_a_feature(tmp_path: Path, seed: int) -> None:
    world, catalogue = random_world(seed), some(seed)
    lead, as_of = world.questions[seed % 4]
    before = replace(world, events=tuple(event for event in world.events if known([event], event.lead, as_of)))
    chance = random.Random(seed)
    later = [Event(lead, as_of + days(chance.uniform(0, 99)), kind, Decimal(10**6)) for kind in KINDS * 3]
    later += [Event(lead, as_of, kind, Decimal(7)) for kind in KINDS]
    unheard = [
        replace(event, lead=lead, recorded=as_of + gap) for event in world.events for gap in (TICK * 0, TICK, days(8))
    ]
    after = replace(world, events=(*later, *world.events, *unheard))
    assert len(before.events) < len(world.events)
    frames = [
        build_features(ask((lead, as_of)), each.tables(tmp_path / str(place)), catalogue)
        for place, each in enumerate((world, before, after))
    ]
    assert bits(frames[0]) == bits(frames[1]) == bits(frames[2])
    assert np.nansum(frames[0].filter(regex=r"\|(count|since_first)\|").to_numpy()) > 0


@pytest.mark.parametrize("seed", range(200, 203))
def test_a_lead_alone_has_the_same_bits_as_in_a_batch(tmp_path: Path, seed: int) -> None:
    world, catalogue = random_world(seed), some(seed)
    tables = world.tables(tmp_path)
    together = bits(build_features(ask(*world.questions), tables, catalogue))
    for place, question in list(enumerate(world.questions))[::4]:
        assert bits(build_features(ask(question), tables, catalogue)) == [together[place]]
    order = random.Random(seed).sample(range(len(together)), len(together))
    shuffled = ask(*world.questions).iloc[order]
    assert bits(build_features(shuffled, tables, catalogue)) == [together[place] for place in order]


def test_the_index_of_the_snapshots_means_nothing(tmp_path: Path) -> None:
    world, catalogue = random_world(1), some(1)
    tables = world.tables(tmp_path)
    plain = ask(*world.questions)
    named = plain.set_axis([f"row {-place}" for place in range(len(plain))])
    assert_frame_equal(build_features(named, tables, catalogue), build_features(plain, tables, catalogue))


def test_the_order_of_the_events_file_means_nothing(tmp_path: Path) -> None:
    world, catalogue = random_world(2), some(2)
    turned = replace(world, events=world.events[::-1])
    one = build_features(ask(*world.questions), world.tables(tmp_path / "1"), catalogue)
    other = build_features(ask(*world.questions), turned.tables(tmp_path / "2"), catalogue)
    assert bits(one) == bits(other)


def test_one_lead_asked_twice_at_one_moment_answers_twice(tmp_path: Path) -> None:
    world, catalogue = random_world(3), some(3)
    question = world.questions[0]
    frame = build_features(ask(question, question), world.tables(tmp_path), catalogue)
    assert bits(frame)[0] == bits(frame)[1]


def test_no_questions_have_no_answers_but_all_columns(tmp_path: Path) -> None:
    world, catalogue = random_world(4), some(4)
    frame = build_features(ask(), world.tables(tmp_path), catalogue)
    assert frame.shape == (0, len(catalogue.names))
    assert list(frame.columns) == catalogue.names
    assert {str(kind) for kind in frame.drop(columns="weekday").dtypes} == {"float64"}
    assert str(frame["weekday"].dtype) == "str"


def test_an_unknown_lead_does_not_give_its_row_to_another(tmp_path: Path) -> None:
    world, catalogue = random_world(5), some(5)
    tables = world.tables(tmp_path)
    (first, second) = world.questions[0], world.questions[4]
    try:
        frame = build_features(ask(first, ("nobody", first[1]), second), tables, catalogue)
    except SchemaError:
        return
    alone = build_features(ask(second), tables, catalogue)
    assert bits(frame)[2] == bits(alone)[0]


def test_events_of_a_lead_that_does_not_exist_change_nothing(tmp_path: Path) -> None:
    world, catalogue = random_world(6), some(6)
    strangers = replace(world, events=(*world.events, *(replace(event, lead="nobody") for event in world.events)))
    one = build_features(ask(*world.questions), world.tables(tmp_path / "1"), catalogue)
    other = build_features(ask(*world.questions), strangers.tables(tmp_path / "2"), catalogue)
    assert bits(one) == bits(other)
