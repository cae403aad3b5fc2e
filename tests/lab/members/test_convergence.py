import pytest
import torch

from model import build_model


def test_loss_goes_down():
    torch.manual_seed(0)
    model = build_model(width=16)
    before = model.loss()
    for _ in range(20):
        model.step()
    after = model.loss()
    assert after < before
    torch.testing.assert_close(model.bias, torch.zeros(16), rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError):
        model.step(lr=-1.0)
