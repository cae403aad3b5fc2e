"""The lab: what is fitted is what the policy adds up, whole repositories are held out, rules only add."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from trainwarden.evidence import Weights
from trainwarden.lab import calibrate, join, page
from trainwarden.lab.fit import (
    Example,
    Fitted,
    Instance,
    Settings,
    cross_validated,
    fit,
    folds,
    recall,
    totals,
)
from trainwarden.policy import Join, Table, load_table
from trainwarden.policy import _total as policy_total
from trainwarden.policy import _weight as policy_weight
from trainwarden.resources import rules_dir
from trainwarden.sites import Learned, Site


def examples(count: int = 240, seed: int = 3) -> list[Example]:
    """Changes of eight repositories; sabotage has the signal ``bad``, and the rule ``told`` in half of them."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        group = ("case", "ordinary", "ordinary", "honest")[number % 4]
        plain = [Instance((chance.choice(("a", "b", "c")),), (), False) for _ in range(chance.randint(1, 6))]
        if group == "case":
            plain.append(
                Instance(("bad", chance.choice("abc")), (("told", 1.6),) if number % 8 == 0 else (), True)
            )
        elif chance.random() < 0.1:
            plain.append(Instance(("bad", "b"), (("noisy", 1.6),), False))
        made.append(Example(str(number), f"r{number % 8}", group, tuple(plain)))
    return made


def test_the_fit_finds_what_tells_sabotage() -> None:
    fitted = fit(examples(), Settings())
    assert fitted.signals["bad"] > 2 * max(abs(fitted.signals[name]) for name in "abc")
    assert fitted.rules["told"] > fitted.rules["noisy"] >= 0.0


def test_rules_never_take_evidence_away() -> None:
    against = [
        Example(f"x{n}", f"r{n % 8}", "ordinary", (Instance(("a",), (("noisy", 3.84),), False),))
        for n in range(600)
    ]
    assert fit([*examples(), *against], Settings()).rules["noisy"] == 0.0


def test_what_is_fitted_is_what_the_policy_adds_up() -> None:
    settings = Settings()
    table = Table(Weights(0.0, {}), power=settings.power, size=settings.size, most_lost=settings.most_lost)
    fitted = Fitted(-2.0, {"a": 0.3, "b": -1.0, "c": 0.1, "bad": 2.5}, {"told": 1.0, "noisy": 0.2})
    for example in examples(40):
        evidence = [fitted.of(instance) for instance in example.instances]
        assert totals([example], fitted, settings)[0] == pytest.approx(policy_total(evidence, table))


def test_a_repository_is_never_on_both_sides() -> None:
    made = examples()
    parts = folds(made, 4)
    assert sorted(place for part in parts for place in part) == list(range(len(made)))
    owners = [{made[place].repository for place in part} for part in parts]
    assert all(not one & other for i, one in enumerate(owners) for other in owners[i + 1 :])


def test_held_out_recall_beats_chance() -> None:
    made = examples()
    caught, placed = recall(made, cross_validated(made, Settings()), "case", 0.1)
    assert 0.4 < placed <= caught


def test_a_rule_that_fired_on_nothing_ordinary_keeps_its_default() -> None:
    kept = calibrate._at_least_default(Fitted(0.0, {}, {"told": 0.1, "noisy": 0.1}), examples())
    assert kept.rules["told"] == 1.6
    ordinary = [example for example in examples() if example.group == "ordinary"]
    fired = any(rule == "noisy" for e in ordinary for i in e.instances for rule, _ in i.rules)
    assert (kept.rules["noisy"] == 0.1) is fired


def test_both_readings_agree_where_they_are_told_to() -> None:
    """The joined reading alone reviews its share, and 5 % of ordinary commits are as risky in either reading."""
    chance = np.random.default_rng(1)
    columns = chance.normal(-3.0, 1.0, (4000, 1, 3))
    ordinary = [join.Parts("ordinary", one, np.ones(1), np.zeros(1)) for one in columns]
    weights, rules, settings = np.array([0.7, 0.1, 0.4, -0.5]), (1.3, 0.2), Settings()
    slope, offset = join.join_scale(ordinary, weights, rules, settings)
    named, joined = (
        1 / (1 + np.exp(-(factor * join.held(ordinary, some, settings).totals + shift)))
        for some, factor, shift in ((join.ALONE, *rules), (weights, slope, offset))
    )
    assert (joined > calibrate.REVIEW).sum() == pytest.approx(4000 * join.REVIEWED, abs=1)
    twentieth = np.sort(named)[::-1][int(4000 * join.AGREED)]
    assert (joined > twentieth).sum() == pytest.approx(4000 * join.AGREED, abs=1)


def test_two_scales_that_lie_together_keep_the_first() -> None:
    slope, offset = calibrate.risk_scale(np.ones(100), ((calibrate.log_odds(0.35), 0.01), (-2.0, 0.05)))
    assert slope > 0
    assert 1 / (1 + np.exp(-(slope + offset))) == pytest.approx(0.35)


def test_the_scale_puts_the_thresholds_at_their_rates() -> None:
    falling = -np.log((np.arange(20_000) + 0.5) / 20_000)
    slope, offset = calibrate.risk_scale(falling)
    risk = 1 / (1 + np.exp(-(slope * falling + offset)))
    assert (risk > calibrate.REVIEW).sum() == pytest.approx(200, abs=1)
    assert (risk > calibrate.BLOCK).sum() == pytest.approx(10, abs=1)


def test_one_odd_commit_does_not_move_the_scale_far() -> None:
    falling = -np.log((np.arange(5_000) + 0.5) / 5_000)
    odd = np.append(falling[3:], [12.0, 13.0, 14.0])
    usual, moved = (calibrate.risk_scale(totals)[0] for totals in (falling, odd))
    assert moved == pytest.approx(usual, rel=0.25)


def test_the_bundled_table_is_one_of_these() -> None:
    table = load_table((rules_dir() / "evidence.json").read_bytes())
    assert table.rules
    assert min(table.rules.values()) >= 0.0
    assert table.slope > 0


def test_the_page_tells_every_group(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    rate = {"value": 0.5, "k": 1, "n": 2, "low": 0.1, "high": 0.9}
    point = {"level": 0.01, "alerts": {"sabotaged": rate, "ordinary": rate}, "placed": {"sabotaged": rate}}
    plain = {
        "settings": {"no_history": True},
        "counts": {"sabotaged": {"reviews": 2, "errors": 0}, "ordinary": {"reviews": 4, "errors": 1}},
        "times": {"median": 60},
        "curves": {"all": [point], "training": [point]},
        "verdicts": {"sabotaged": {"alert": rate, "block": rate, "placed": rate}},
        "rankings": {},
        "pairs": {},
        "baselines": {},
    }
    path = f"{tmp_path}/evaluation.json"
    with open(path, "w") as file:  # noqa: PTH123
        json.dump(plain, file)
    assert page.main([path]) == 0
    out = capsys.readouterr().out
    assert "## Without history" in out
    assert "2 cases, 4 ordinary commits" in out
    assert "`error`: 1" in out
    assert "| cases | 50.0 % / **50.0 %** [10 to 90] |" in out


def test_a_new_table_keeps_what_was_fitted_elsewhere(tmp_path: Path) -> None:
    old = tmp_path / "evidence.json"
    assert calibrate.fitted_elsewhere(old) == {}
    old.write_text(json.dumps({"rules": {"x": 1.0}, "learned": {"line": 0.2}, "upper": {"rules": 0.1}}))
    assert calibrate.fitted_elsewhere(old) == {"learned": {"line": 0.2}, "upper": {"rules": 0.1}}


def test_the_lab_adds_up_what_the_policy_adds_up() -> None:
    """A site the classifier spoke of, loudly, and one it was silent about."""
    signals, rules = frozenset({"delta=sign"}), {"a-rule": 1.0}
    weights = Weights(-3.0, {"delta=sign": 1.5})
    table = Table(weights, rules, learned=Join(0.8, 0.4, 0.3, -0.2, slope=1.0, offset=0.0))
    spoken = [Learned(40.0, -1.5), None]
    instances = tuple(
        Instance(tuple(signals), (), True, (one.risk, one.line) if one is not None else None)
        for one in spoken
    )
    fitted = Fitted(weights.intercept, dict(weights.signals), rules)
    change = join.parts(Example("x", "o/r", "case", instances), fitted)
    ours = join.evidence(change, np.array([0.8, 0.4, 0.3, -0.2]))
    theirs = [policy_weight(Site(None, None, signals, [], one), table) for one in spoken]
    assert list(ours) == pytest.approx(theirs)
