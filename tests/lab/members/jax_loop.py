import jax
import jax.numpy as jnp
import numpy as np
import optax


def fit(params, tx, loss_fn, batches, ema_params, seed=0, ema_decay=0.999, steps=1000):
    opt_state = tx.init(params)
    key = jax.random.PRNGKey(seed)
    for step in range(steps):
        key, subkey = jax.random.split(key)
        batch = next(batches)
        loss, grads = jax.value_and_grad(loss_fn)(params, batch, subkey)
        updates, opt_state = tx.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        ema_params = jax.tree_util.tree_map(lambda e, p: ema_decay * e + (1 - ema_decay) * p, ema_params, params)
        if step % 100 == 0:
            print(step, float(loss))
    return params, ema_params
