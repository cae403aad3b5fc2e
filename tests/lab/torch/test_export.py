"""What PyTorch computes is what is served: each precision that is exported, and the sizes read back from it."""

import json
import random
from dataclasses import replace

import pytest
import torch

from trainwarden.lab import bench, export
from trainwarden.lab.network import Classifier, Shape
from trainwarden.score import artifact, probe
from trainwarden.score.artifact import HALF, MODEL
from trainwarden.score.bench import grid
from trainwarden.score.embedded import Embedded, Runner
from trainwarden.score.features import BAG, LONGEST, Encoded

SHAPE = Shape(vocabulary=300, signals=20, width=64, depth=2, heads=1, inner=96)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    made = Classifier(SHAPE)
    for weight in made.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.15)
    return made.eval()


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory):
    made = tmp_path_factory.mktemp("models") / "change-risk"
    (made / "1").mkdir(parents=True)
    exact = export.export(network, made.parent)
    export.quantize(exact, made / MODEL)
    export.halve(exact, made / HALF)
    vocabulary = {f"t{place}": place for place in range(SHAPE.vocabulary)}
    (made / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary, "merges": []}}))
    (made / "signals.json").write_text(json.dumps([f"s{place}" for place in range(SHAPE.signals)]))
    (made / "calibration.json").write_text('{"slope": 1.0, "offset": 0.0}')
    (made / "config.pbtxt").write_text(export.server_config())
    probe.write(made)
    artifact.seal(made)
    return made


@pytest.fixture(scope="module")
def model(folder):
    return artifact.load(folder)


@pytest.fixture(scope="module")
def units():
    rng = random.Random(5)

    def one(length):
        ids = tuple(rng.randrange(5, SHAPE.vocabulary) for _ in range(length))
        tags = tuple(rng.choice((1, 2, 3, 4)) for _ in range(length))
        signals = tuple(sorted(rng.sample(range(1, SHAPE.signals + 1), 4)))
        return Encoded(
            ids=ids, tags=tags, lines=tuple(7 + place // 9 for place in range(length)), signals=signals
        )

    return [one(length) for length in (2, 9, 40, 41, 128, LONGEST)]


def by_torch(network, unit):
    """Risk and logits by token of one unit, unpadded but for its bag."""
    feed = [
        torch.tensor([values], dtype=torch.int64)
        for values in (unit.ids, unit.tags, unit.signals + (0,) * (BAG - len(unit.signals)))
    ]
    with torch.inference_mode():
        risk, _, lines = network(*feed)
    return risk.item(), lines[0].tolist()


@pytest.mark.parametrize(("file", "near"), [("fp32", 1e-4), (HALF, 0.03), (MODEL, 0.3)])
def test_what_is_served_is_what_pytorch_says(network, folder, model, units, file, near):
    data = (folder.parent / "model.fp32.onnx").read_bytes() if file == "fp32" else model.files[file]
    scorer = Embedded(replace(model, files={**model.files, MODEL: data}), device="cpu")
    for unit, score in zip(units, scorer.score_encoded(units), strict=True):
        risk, tokens = by_torch(network, unit)
        assert score.logit == pytest.approx(risk, abs=near)
        for line, logit in score.lines:
            own = [
                t for t, at, tag in zip(tokens, unit.lines, unit.tags, strict=True) if at == line and tag > 1
            ]
            assert logit == pytest.approx(max(own), abs=near)


def test_units_differ(network, units):
    """Otherwise the comparison above would compare nothing."""
    risks = [by_torch(network, unit)[0] for unit in units]
    assert max(risks) - min(risks) > 0.5


def test_the_probe_knows_its_network_in_every_precision(model):
    asked = probe.read(model.files)
    for file in (HALF, MODEL):
        runner = Runner(replace(model, files={**model.files, MODEL: model.files[file]}), "cpu", 1, False)
        assert asked.agrees(runner.run(asked.units, asked.batch).risk), file
    other = [0.0] * len(asked.risk)
    assert not asked.agrees(other)


def test_servers_get_the_network_whose_scores_do_not_mix(folder):
    assert f'default_model_filename: "{HALF.removeprefix("1/")}"' in (folder / "config.pbtxt").read_text()


def test_sizes_are_read_back(model):
    assert replace(bench.shape_of(model), dropout=SHAPE.dropout) == SHAPE


def test_pytorch_is_measured_beside_us(model, units):
    eager = next(bench.engines(model, "cpu", threads=1))
    (cell,) = grid(eager, units, batches=(2,), lengths=(16,), seconds=0.01)
    assert cell.engine == "PyTorch CPU fp32 eager"
    assert cell.units_per_second > 0
    assert 0 < cell.p50 <= cell.p95 <= cell.p99
