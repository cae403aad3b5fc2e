import jax
import torch
import torch.nn.functional as F


def diffusion_loss(model, x_start, text_mask, num_steps, generator=None):
    b = x_start.shape[0]
    t = torch.randint(0, num_steps, (b,), device=x_start.device)
    noise = torch.randn_like(x_start)
    noisy = model.q_sample(x_start, t, noise)
    pred = model(noisy, t, attention_mask=text_mask, generator=generator)
    return F.mse_loss(pred.float(), noise.float())


def dropout_keys(rng, step):
    rng, key = jax.random.split(rng)
    return rng, jax.random.fold_in(key, step)
