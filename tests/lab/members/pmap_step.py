import functools

import jax
import optax


@functools.partial(jax.pmap, axis_name="batch")
def train_step(state, batch, rng):
    def loss_fn(params):
        logits = state.apply_fn({"params": params}, batch["image"], train=True, rngs={"dropout": rng})
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]).mean()

    loss, grads = jax.value_and_grad(loss_fn)(state.params)
    grads = jax.lax.pmean(grads, "batch")
    loss = jax.lax.pmean(loss, "batch")
    state = state.apply_gradients(grads=grads)
    return state, {"loss": loss}
