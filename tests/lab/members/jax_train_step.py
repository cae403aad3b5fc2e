from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax.training import train_state


@partial(jax.pmap, axis_name="batch")
def train_step(state, batch, dropout_rng):
    dropout_rng, new_dropout_rng = jax.random.split(dropout_rng)

    def loss_fn(params):
        logits = state.apply_fn({"params": params}, batch["inputs"], train=True, rngs={"dropout": dropout_rng})
        targets = jax.lax.stop_gradient(batch["targets"])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
        loss = jnp.sum(loss * batch["mask"]) / jnp.sum(batch["mask"])
        return loss, logits

    grad_fn = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, logits), grads = grad_fn(state.params)
    grads = jax.lax.pmean(grads, axis_name="batch")
    new_state = state.apply_gradients(grads=grads)
    metrics = {"loss": jax.lax.pmean(loss, axis_name="batch"), "accuracy": jnp.mean(jnp.argmax(logits, -1) == batch["targets"])}
    return new_state, metrics, new_dropout_rng
