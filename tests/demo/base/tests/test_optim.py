import pytest

from quill.config import Config
from quill.optim import learning_rate

CONFIG = Config(lr=1.0, min_lr=0.1, warmup=10, max_steps=110)


def test_warm_up_is_linear():
    assert learning_rate(0, CONFIG) == pytest.approx(0.1)
    assert learning_rate(9, CONFIG) == pytest.approx(1.0)


def test_ends_at_the_floor():
    assert learning_rate(110, CONFIG) == 0.1
    assert learning_rate(10_000, CONFIG) == 0.1


def test_never_rises_after_the_warm_up():
    rates = [learning_rate(step, CONFIG) for step in range(10, 110)]
    assert rates == sorted(rates, reverse=True)
