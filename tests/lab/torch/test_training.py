"""A tiny classifier learns, goes on where it stopped, and is measured: the whole way from rows to a figure."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from trainwarden.lab import members, mixture, rows, train, trainer
from trainwarden.lab.dataset import GROUPS, Dataset, encode
from trainwarden.lab.initial import token_vectors
from trainwarden.lab.measure import BagOfTokens, area, auroc, changes, deletes_more, pairs_right
from trainwarden.lab.members import Member
from trainwarden.lab.rows import Row
from trainwarden.lab.vocabulary import known_signals, train_tokenizer
from trainwarden.model import Statement, Unit, UnitTag
from trainwarden.score.features import Encoder

WORDS = "loss optimizer step clip seed batch model data epoch zero_grad backward criterion scale".split()


def unit(rng: random.Random, sabotaged: bool) -> Unit:
    """Sabotage swaps the scale for its negative; honest edits rename: the same words on either side."""
    own = rng.sample(WORDS, 5)
    tags: tuple[UnitTag, UnitTag] = ("removed", "added") if sabotaged else ("added", "removed")
    edited = (*((word, "same") for word in own[:2]), ("scale", tags[0]), ("clip", tags[1]))
    context = Statement(tuple((word, "same") for word in own), 0, 3)
    return Unit(
        "a/b.py", "main", (context, Statement(edited, 1, 4, True)), ("edit=changed", f"word={own[0]}")
    )


def material(count: int, seed: int) -> list[Row]:
    rng = random.Random(seed)
    found = []
    for number in range(count):
        bad = number % 2 == 0
        group = "planted" if bad else "twin"
        found.append(
            Row(unit(rng, bad), int(bad), (4,) if bad else (), group, "o/r", str(number // 2), "A01", "x")
        )
    return found


@pytest.fixture(scope="module")
def vocabulary() -> tuple[bytes, bytes]:
    units = [row.unit for row in material(200, 0)]
    return train_tokenizer(units, 400), known_signals(units)


@pytest.fixture(scope="module")
def encoder(vocabulary: tuple[bytes, bytes]) -> Encoder:
    return Encoder(*vocabulary)


def test_our_bpe_is_the_library_s(vocabulary: tuple[bytes, bytes], encoder: Encoder) -> None:
    theirs = Tokenizer.from_str(vocabulary[0].decode())
    for word in [*WORDS, "zero_gradient", "lossless", "é", "x1", "…", "backwardbackward"]:
        assert list(encoder.tokens(word)) == theirs.encode(word).ids


def test_a_vocabulary_is_the_same_every_time(vocabulary: tuple[bytes, bytes]) -> None:
    assert train_tokenizer((row.unit for row in material(200, 0)), 400) == vocabulary[0]


def test_padding_does_not_change_what_is_said(encoder: Encoder) -> None:
    data = encode(material(8, 1), encoder)
    model = train.Classifier(train.Shape(400, 60, width=64, depth=2, heads=1, inner=96)).eval()
    one, all_of_them = data.batch([3]), data.batch(range(8))
    wide = torch.nn.functional.pad
    with torch.inference_mode():
        alone = model(one.ids, one.tags, one.signals)[0]
        padded = model(wide(one.ids, (0, 40)), wide(one.tags, (0, 40)), one.signals)[0]
        together = model(all_of_them.ids, all_of_them.tags, all_of_them.signals)[0][3:4]
    torch.testing.assert_close(alone, padded, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(alone, together, atol=1e-4, rtol=1e-4)


def test_data_is_kept_and_joined_whole(tmp_path: Path, encoder: Encoder) -> None:
    one, two = encode(material(6, 1), encoder), encode(material(4, 2), encoder)
    one.save(tmp_path / "one.npz")
    both = Dataset.joined([Dataset.load(tmp_path / "one.npz"), two])
    assert len(both) == 10 and len(set(both.pair.tolist())) == 5
    for place, (data, row) in enumerate([*((one, i) for i in range(6)), *((two, i) for i in range(4))]):
        theirs, ours = data.batch([row]), both.batch([place])
        assert torch.equal(theirs.ids, ours.ids) and torch.equal(theirs.signals, ours.signals)


MEMBER = tuple(
    (depth, tuple(code.split()))
    for depth, code in (
        (0, "def ( self , loss , scale )"),
        (1, "loss = loss / scale"),
        (1, "if loss > 1 and scale :"),
        (2, "self . optimizer . zero_grad ( )"),
        (2, "loss . backward ( )"),
        (1, "return loss"),
    )
)


def write(folder: Path, repo: str) -> None:
    ordinary = [
        Row(r.unit, 0, (), "ordinary", repo, f"o{i}") for i, r in enumerate(material(120, 3)) if not r.label
    ]
    for kind in ("ordinary", "planted", "cases"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    rows.keep(folder, "ordinary", repo, ordinary)
    rows.keep(
        folder,
        "planted",
        repo,
        [Row(r.unit, r.label, r.hot, r.group, repo, r.pair, "A01", "known") for r in material(200, 4)],
    )
    members.write(folder, repo, [Member(repo, "a/b.py", f"f{i}", MEMBER) for i in range(30)])
    held = Row(material(2, 5)[0].unit, 1, (4,), "planted", repo, "held", "M01", "held")
    rows.keep(folder, "cases", repo, [held])


def test_a_run_learns_resumes_and_leaves_out_what_is_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "SAVE_EVERY", 10)
    monkeypatch.setattr(trainer, "_LOOK_EVERY", 5)
    monkeypatch.setattr(mixture, "_POOL", 256)
    listed = tmp_path / "repos.txt"
    listed.write_text(
        "pytorch/examples\tchoose\nallenai/OLMo\tchoose\nhuggingface/pytorch-image-models\tchoose\n"
    )
    for repo in ("pytorch/examples", "huggingface/pytorch-image-models"):
        write(tmp_path / "rows", repo)
    asked = [
        "--rows",
        str(tmp_path / "rows"),
        "--repos",
        str(listed),
        "--out",
        str(tmp_path / "run"),
        "--width",
        "64",
    ]
    asked += [
        "--depth",
        "1",
        "--pretrain-steps",
        "4",
        "--mutation-steps",
        "4",
        "--tokens",
        "640",
        "--mutations",
        "2",
        "--jobs",
        "1",
    ]
    assert train.main([*asked, "--steps", "20"]) == 0
    first = json.loads((tmp_path / "run" / "record.json").read_text())["curves"]["finetune"]
    assert train.main([*asked, "--steps", "200"]) == 0
    curve = json.loads((tmp_path / "run" / "record.json").read_text())["curves"]["finetune"]
    assert curve[: len(first)] == first and curve[-1][0] == 200
    assert curve[-1][1] < curve[0][1]
    cases = Dataset.load(tmp_path / "run" / "train-cases.npz")
    assert len(cases) == 0
    plan = train.Plan(**json.loads((tmp_path / "run" / "record.json").read_text())["plan"])
    model = train.build(tmp_path / "run", plan)
    model.load_state_dict(torch.load(tmp_path / "run" / "model.pt", weights_only=True))
    tune = Dataset.load(tmp_path / "run" / "tune-planted.npz")
    risk = train.risks(model, tune, torch.device("cpu"))
    assert auroc(risk[tune.label == 1], risk[tune.label == 0]) > 0.9


def test_figures(encoder: Encoder) -> None:
    data = encode(material(80, 6), encoder)
    truth = data.label.astype(np.float64)
    assert auroc(truth[truth == 1], truth[truth == 0]) == 1.0
    assert auroc(np.zeros(5), np.zeros(7)) == 0.5
    found = changes(data, truth, ("planted",), ("twin",))
    assert pairs_right(found).value == 1.0 and pairs_right(found, balanced=True).count == 40
    assert abs(area(deletes_more(data)[truth == 1], deletes_more(data)[truth == 0]).value - 0.5) < 0.2
    bag = BagOfTokens().fit([data]).risk(data)
    assert auroc(bag[truth == 1], bag[truth == 0]) == 1.0  # here, sides alone give it away


def test_vectors_of_tokens_that_stand_together_are_alike(encoder: Encoder) -> None:
    data = encode(material(400, 7), encoder)
    table = token_vectors(data, np.arange(len(data)), 400, 16, 1)
    assert table.shape == (400, 16) and not table[0].any() and np.isfinite(table).all()


def test_groups_are_named_once() -> None:
    assert len(set(GROUPS)) == len(GROUPS)


def test_members_are_kept_whole(tmp_path: Path) -> None:
    kept = [Member("o/r", "a.py", "f", ((0, ("def", "(", ")")), (1, ("return", "x"))))]
    members.write(tmp_path, "o/r", kept)
    assert list(members.read(tmp_path, ["o/r", "not/there"])) == kept
