"""The network in this process: the same numbers for a unit whatever is scored beside it, and by whom."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from trainwarden.model import Misuse, ScorerChoice, Unfinished
from trainwarden.score import embedded as module
from trainwarden.score.artifact import MODEL, Calibration, load_encoder
from trainwarden.score.batches import Answer, Batch, batches, rows, scores
from trainwarden.score.choose import open_scorer
from trainwarden.score.embedded import Embedded, plan
from trainwarden.score.features import BAG, LONGEST, Encoded


@pytest.fixture(scope="module")
def scorer(model):
    return Embedded(model)


def encoded(length, tag=3, line=7):
    return Encoded((5,) * length, (tag,) * length, (line,) * length, (1, 2))


def test_nothing_in_nothing_out(model):
    scorer = Embedded(model)
    assert scorer.score(()) == ()
    assert scorer.name == "change-risk (embedded)", "no session is made for nothing"


def test_every_unit_has_its_score_in_its_place(scorer, units):
    found = scorer.score(units)
    assert len(found) == len(units)
    assert len({score.logit for score in found}) > len(units) // 2
    assert found == tuple(scorer.score([unit])[0] for unit in units)
    assert found == tuple(reversed(scorer.score(units[::-1])))
    assert scorer.name == "change-risk (embedded, CPU)"


def test_scores_are_probabilities_on_edited_lines(scorer, units):
    for unit, score in zip(units, scorer.score(units), strict=True):
        assert 0.0 <= score.risk <= 1.0
        assert score.family == "" or score.family in "ABCDEFGHIJKLMN"
        lines = [line for line, _ in score.lines]
        assert len(set(lines)) == len(lines)
        assert set(lines) <= {one.line for one in unit.statements if one.edited}
        logits = [logit for _, logit in score.lines]
        assert logits == sorted(logits, reverse=True)


def test_threads_do_not_mix_their_numbers_up(scorer, units):
    wanted = scorer.score(units)
    found = {}

    def work(name):
        found[name] = scorer.score(units)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(4), wanted)


def test_a_fork_makes_its_own_session(scorer, units):
    wanted = scorer.score(units[:4])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if scorer.score(units[:4]) == wanted else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert scorer.score(units[:4]) == wanted


def test_another_process_says_the_same(folder, scorer, units):
    wanted = [score.logit for score in scorer.score(units)]
    program = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "import json, random\n"
        "from pathlib import Path\n"
        "from conftest import unit\n"
        "from trainwarden.score import artifact, embedded\n"
        "rng = random.Random(11)\n"
        "units = [unit(rng, place) for place in range(40)]\n"
        "scorer = embedded.Embedded(artifact.load(Path(sys.argv[1])), threads=1)\n"
        "print(json.dumps([score.logit for score in scorer.score(units)]))\n"
    )
    tests = str(Path(__file__).parent)
    said = subprocess.run(
        [sys.executable, "-c", program, str(folder), tests], check=True, capture_output=True, text=True
    )
    assert json.loads(said.stdout) == pytest.approx(wanted, abs=1e-4)


def test_a_closed_scorer_may_be_used_again(model, units):
    scorer = Embedded(model)
    wanted = scorer.score(units[:2])
    scorer.close()
    scorer.close()
    assert scorer.score(units[:2]) == wanted


def test_a_gpu_that_is_asked_for_and_is_not_there_is_an_error(model, units, monkeypatch):
    monkeypatch.setattr(module, "_driver", lambda: False)
    with pytest.raises(Misuse, match="no CUDA device") as refused:
        Embedded(model, device="cuda").score(units)
    assert "trainwarden[gpu]" in refused.value.hint
    assert Embedded(model, device="auto").score(units[:1])


def test_missing_onnxruntime_is_said_in_one_line(model, units, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Misuse, match="onnxruntime") as refused:
        Embedded(model).score(units)
    assert "pip install 'trainwarden[model]'" in refused.value.hint


def test_both_builds_at_once_are_refused(model, units, monkeypatch):
    monkeypatch.setattr(module, "distribution", lambda name: name)
    with pytest.raises(Misuse, match="only one may be installed"):
        Embedded(model).score(units)

    def only_one(name):
        if name == "onnxruntime-gpu":
            raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "distribution", only_one)
    assert Embedded(model).score(units[:1])


def test_a_network_that_is_none_is_refused(model, units):
    broken = replace(model, files={**model.files, MODEL: b"no network"})
    with pytest.raises(Misuse, match="cannot be loaded") as refused:
        Embedded(broken, device="cpu").score(units)
    assert refused.value.hint


def test_more_tokens_than_the_network_knows_are_an_error_and_not_a_score(scorer):
    with pytest.raises(Unfinished, match="cannot be run"):
        scorer.score_encoded([encoded(LONGEST + 1)])
    assert scorer.score_encoded([encoded(LONGEST)])


def test_threads_follow_the_work():
    cores = len(os.sched_getaffinity(0))
    assert plan(0, workers=1) == (min(2, cores), True)
    assert plan(0, workers=cores) == (1, True)
    assert plan(0, workers=cores + 1) == (1, False)
    assert plan(cores + 1, workers=1) == (cores + 1, False)


# -- batches


def test_a_unit_alone_is_not_padded():
    found = list(batches([encoded(40), encoded(3), encoded(1)], 1))
    assert found == [Batch((2,), 2), Batch((1,), 3), Batch((0,), 40)]


@pytest.mark.parametrize("largest", [1, 2, 3, 64])
def test_no_unit_is_dropped_or_doubled(largest):
    units = [encoded(length) for length in (7, 150, 16, 17, 3, LONGEST, 90, 90, 90, 15)]
    found = list(batches(units, largest))
    assert sorted(place for batch in found for place in batch.places) == list(range(len(units)))
    for batch in found:
        assert len(batch.places) <= largest
        assert all(len(units[place].ids) <= batch.length for place in batch.places)


def test_units_of_one_bucket_run_together():
    found = list(batches([encoded(12), encoded(90), encoded(16), encoded(17)], 8))
    assert [(batch.places, batch.length) for batch in found] == [((0, 2), 16), ((3,), 32), ((1,), 96)]


def test_rows_are_padded_with_zeros():
    ids, tags, signals = rows([encoded(3)], Batch((0,), 5))
    assert ids == [[5, 5, 5, 0, 0]]
    assert tags == [[3, 3, 3, 0, 0]]
    assert signals == [[1, 2] + [0] * (BAG - 2)]


def test_padding_carries_no_risk():
    answer = Answer([0.5], [[0.0] * 15], [[1.0, 2.0, 99.0]])
    ((place, score),) = scores([encoded(2)], Batch((0,), 3), answer, Calibration(2.0, -1.0))
    assert (place, score.logit, score.risk, score.lines) == (0, 0.0, 0.5, ((7, 2.0),))


def test_a_line_is_as_risky_as_its_riskiest_token_that_differs():
    unit = Encoded((5,) * 5, (2, 3, 1, 3, 4), (7, 7, 7, 9, 0), ())
    answer = Answer([0.0], [[*[0.0] * 3, 1.0, *[0.0] * 11]], [[0.1, 0.4, 9.0, 0.4, 9.0]])
    ((_, score),) = scores([unit], Batch((0,), 5), answer, Calibration(1.0, 0.0))
    assert score.lines == ((7, 0.4), (9, 0.4))
    assert score.family == "C"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_no_score(bad):
    answer = Answer([bad], [[0.0] * 15], [[0.0, 0.0]])
    with pytest.raises(Unfinished, match="not finite"):
        list(scores([encoded(2)], Batch((0,), 2), answer, Calibration(1.0, 0.0)))


# -- the choice


def test_a_choice_is_opened_once_a_process(folder):
    choice = ScorerChoice(folder=str(folder))
    assert open_scorer(choice, required=False) is open_scorer(choice, required=True)


def test_a_model_nobody_asked_for_may_be_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("trainwarden.score.artifact.bundled", lambda: None)
    assert open_scorer(ScorerChoice(workers=3, threads=1), required=False) is None
    for choice, required in (
        (ScorerChoice(), True),
        (ScorerChoice(device="cuda"), False),
        (ScorerChoice(folder=str(tmp_path / "none")), False),
    ):
        with pytest.raises(Misuse, match="no model"):
            open_scorer(choice, required)


def test_a_runtime_nobody_asked_for_may_be_missing(folder, monkeypatch):
    monkeypatch.setattr("trainwarden.score.choose._can_embed", lambda: False)
    monkeypatch.setattr("trainwarden.score.artifact.bundled", lambda: folder)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert open_scorer(ScorerChoice(), required=False) is None
    with pytest.raises(Misuse, match="onnxruntime"):
        open_scorer(ScorerChoice(), required=True)


def test_the_encoder_is_the_artefacts_own(model, units):
    encoder = load_encoder(model)
    assert len({encoder.encode(unit).ids for unit in units}) == len(units)
