"""A model is loaded when it is the one that was sealed, and refused when anything in it differs."""

import hashlib
import json
import shutil

import pytest

from trainwarden.model import Misuse
from trainwarden.score import artifact
from trainwarden.score.artifact import CALIBRATION, MANIFEST, MODEL, TOKENIZER, probability
from trainwarden.score.embedded import Embedded


@pytest.fixture
def copy(folder, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(folder, tmp_path / "change-risk")


def test_the_sealed_model_loads(copy):
    found = artifact.load(copy)
    on_disk = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert set(found.files) == on_disk - {MANIFEST}
    assert found.digest == hashlib.sha256((copy / MANIFEST).read_bytes()).hexdigest()
    assert found.name == "change-risk"
    assert found.calibration.slope > 0


def test_bytecode_of_others_is_no_part_of_a_model(copy):
    (copy / "__pycache__").mkdir()
    (copy / "__pycache__" / "x.pyc").write_bytes(b"x")
    artifact.load(copy)


def altered(copy):
    data = bytearray((copy / MODEL).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / MODEL).write_bytes(data)


def extra(copy):
    (copy / "1" / "more.onnx").write_bytes(b"")


def missing(copy):
    (copy / TOKENIZER).unlink()


def left_out_of_the_seal(copy):
    (copy / CALIBRATION).unlink()
    artifact.seal(copy)


def linked(copy):
    (copy / MODEL).rename(copy.parent / "model.onnx")
    (copy / MODEL).symlink_to(copy.parent / "model.onnx")


def linked_folder(copy):
    (copy / "1").rename(copy.parent / "1")
    (copy / "1").symlink_to(copy.parent / "1")


def unsealed(copy):
    (copy / MANIFEST).unlink()


def nonsense(copy):
    (copy / MANIFEST).write_text("[" * 100_000)


def another_schema(copy):
    (copy / MANIFEST).write_text(
        (copy / MANIFEST).read_text().replace("trainwarden/model/1", "trainwarden/model/9")
    )


def upside_down(copy):
    (copy / CALIBRATION).write_text(json.dumps({"slope": -1.0, "offset": 0.0}))
    artifact.seal(copy)


def not_a_number(copy):
    (copy / CALIBRATION).write_text('{"slope": NaN, "offset": 0.0}')
    artifact.seal(copy)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (altered, f"{MODEL} was altered"),
        (extra, "1/more.onnx is not in the manifest"),
        (missing, f"{TOKENIZER} is missing"),
        (left_out_of_the_seal, f"{CALIBRATION} is missing"),
        (linked, "not a regular file"),
        (linked_folder, "not a regular file"),
        (unsealed, f"{MANIFEST} is missing"),
        (nonsense, "is not a manifest"),
        (another_schema, "is not a manifest"),
        (upside_down, "are no calibration"),
        (not_a_number, "are no calibration"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_spoilt_model_is_refused(copy, spoil, said):
    spoil(copy)
    with pytest.raises(Misuse, match=said.replace(".", r"\.")) as refused:
        artifact.load(copy)
    assert refused.value.hint


def test_what_is_run_is_what_was_verified(copy, units):
    """The files may change after they were read: nothing is read again."""
    before = Embedded(artifact.load(copy)).score(units)
    late = Embedded(artifact.load(copy))
    shutil.rmtree(copy)
    assert late.score(units) == before


def test_probabilities_stay_within_bounds():
    assert probability(0.0) == 0.5
    assert probability(-1e9) == 0.0
    assert probability(1e9) == 1.0
    assert probability(2.0) == pytest.approx(1 - probability(-2.0))
