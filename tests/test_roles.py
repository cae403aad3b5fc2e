"""Roles are read from words with their boundaries: a word inside another one says nothing."""

from __future__ import annotations

import pytest

from trainwarden.roles import roles_of_text

SPEAKS = {
    "seed": "generator torch.Generator() numpy.random.default_rng() self.dropout_rng loader.generator",
    "reward": "self.entropy() policy_loss old_policy is_terminal terminal_reward ActorCriticPolicy() entropy_coef",
    "precision": "torch.cuda.amp.autocast() use_amp amp torch.float16",
}
SAYS_NOTHING = {
    "seed": "self.generator UNetGenerator() data_generator generator_loss",
    "reward": "torch.nn.functional.cross_entropy() CrossEntropyLoss() terminal_width retry_policy auto_wrap_policy "
    "MixedPrecisionPolicy() os.get_terminal_size()",
    "precision": "torch.clamp timestamp lr_ramp",
}


@pytest.mark.parametrize(("role", "words"), SPEAKS.items())
def test_a_word_speaks_of_its_role(role: str, words: str) -> None:
    assert [word for word in words.split() if role not in roles_of_text(word)] == []


@pytest.mark.parametrize(("role", "words"), SAYS_NOTHING.items())
def test_a_word_inside_another_says_nothing(role: str, words: str) -> None:
    assert [word for word in words.split() if role in roles_of_text(word)] == []
