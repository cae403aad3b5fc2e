"""The model in whole reviews: in the killable child, through the command line, with a real server behind it."""

import json

import pytest

from git_repository import SABOTAGE, TRAIN, GitRepository
from trainwarden.entry import cli


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    made = GitRepository(tmp_path_factory.mktemp("scored") / "repo", {"train.py": TRAIN})
    made.second = made.commit({"train.py": SABOTAGE})
    return made


@pytest.fixture
def scan(capfd, folder, repository, monkeypatch):
    """Runs ``scan`` with the model under test: exit code, report, standard error."""
    monkeypatch.setenv("TRAINWARDEN_MODEL_DIR", str(folder))

    def run(*words, head=None):
        base = ("--base", repository.first, "--head", head or repository.second)
        given = ("--repo", str(repository.path), *base, "--seconds", "500", "--format", "json")
        code = cli.main(["scan", *given, *words])
        out, err = capfd.readouterr()
        return code, json.loads(out) if out else None, err

    return run


def notes(report):
    return [reason for reason in report["reasons"] if "learned risk was computed" in reason]


def test_without_the_model_the_report_says_so(scan):
    _, report, _ = scan("--no-model")
    assert report["tool"]["model"] is None


def test_a_review_names_the_model(scan, model):
    code, report, _ = scan()
    assert code in (0, 1)
    assert report["tool"]["model"] == model.digest
    assert notes(report) == []


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_review_may_score_on_a_server(scan, model, server, protocol, tmp_path):
    server.behave()
    config = tmp_path / "operator.yml"
    config.write_text("scorer: {seconds: 60}\n")
    url = f"{protocol}://127.0.0.1:{getattr(server, protocol)}"
    code, report, _ = scan("--scorer", url, "--config", str(config))
    assert code in (0, 1)
    assert report["tool"]["model"] == model.digest
    assert notes(report) == []


def test_a_fallback_is_told(scan, model):
    _, report, _ = scan("--scorer", "http://127.0.0.1:1")
    assert report["tool"]["model"] == model.digest
    assert notes(report) == [
        "The learned risk was computed by change-risk (embedded: 127.0.0.1:1 did not answer)."
    ]


def test_code_is_not_sent_in_clear_text(scan):
    code, report, err = scan("--scorer", "http://scorer.example.org")
    assert (code, report) == (2, None)
    assert "in clear text" in err


def test_the_reviewed_repository_does_not_choose_the_scorer(scan, repository):
    policy = repository.commit({".trainwarden.yml": "scorer: {url: 'https://scorer.example.org'}\n"})
    try:
        code, report, err = scan("--policy", policy)
    finally:
        repository.git("reset", "--hard", "-q", repository.second)
    assert (code, report) == (2, None)
    assert "for the operator only" in err


def test_a_policy_that_requires_the_model_is_not_overruled(scan, repository, tmp_path):
    config = tmp_path / "operator.yml"
    config.write_text("model: required\n")
    code, _, err = scan("--config", str(config), "--no-model")
    assert code == 2
    assert "requires the model" in err
    config.write_text("model: off\n")
    assert scan("--config", str(config))[1]["tool"]["model"] is None


def test_an_altered_model_is_never_used(scan, folder, tmp_path, monkeypatch):
    import shutil

    copy = shutil.copytree(folder, tmp_path / "change-risk")
    (copy / "tokenizer.json").write_bytes(b"{}")
    code, report, err = scan("--model", str(copy))
    assert (code, report) == (2, None)
    assert "tokenizer.json was altered" in err


# -- model info and bench


def test_info_says_what_the_model_is(capfd, folder, model):
    assert cli.main(["model", "info", "--model", str(folder)]) == 0
    assert model.digest in capfd.readouterr().out
    assert cli.main(["model", "info", "--model", str(folder), "--format", "json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["digest"] == model.digest
    assert set(said["files"]) == set(model.files)
    assert cli.main(["model", "info", "--model", str(folder), "--card"]) == 0
    assert capfd.readouterr().out.encode() == model.files["card.md"]


def test_info_of_no_model_says_what_to_do(capfd, tmp_path):
    assert cli.main(["model", "info", "--model", str(tmp_path)]) == 2
    assert "manifest.json is missing" in capfd.readouterr().err


def test_bench_measures_every_cell(capfd, folder, repository):
    words = ["--batches", "1,3", "--lengths", "16,32", "--seconds", "0.01", "--threads", "1", "--no-torch"]
    common = ["model", "bench", "--model", str(folder), "--device", "cpu", *words]
    assert cli.main([*common, "--format", "json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert [(row["batch"], row["length"]) for row in said["rows"]] == [(1, 16), (3, 16), (1, 32), (3, 32)]
    for row in said["rows"]:
        assert row["units_per_second"] > 0
        assert 0 < row["p50"] <= row["p95"] <= row["p99"]
    assert cli.main(common) == 0
    assert (
        len([line for line in capfd.readouterr().out.splitlines() if line.startswith("onnxruntime CPU")]) == 4
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lengths", "9999"], "tokens at most"),
        (["--batches", "0"], "whole number"),
        (["--repo", "/nowhere"], "not a directory"),
    ],
)
def test_bench_refuses_what_it_cannot_measure(capfd, folder, words, said):
    assert cli.main(["model", "bench", "--model", str(folder), *words]) == 2
    assert said in capfd.readouterr().err


def test_a_gpu_that_is_not_there_is_not_measured(capfd, folder, monkeypatch):
    monkeypatch.setattr("trainwarden.score.embedded._driver", lambda: False)
    assert cli.main(["model", "bench", "--model", str(folder), "--device", "cuda"]) == 2
    assert "no CUDA device" in capfd.readouterr().err
