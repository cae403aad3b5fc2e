import torch
import torch.nn.functional as F


def vae_loss(recon, x, mu, logvar, beta=1.0, kl_weight=0.00025):
    batch_size = x.shape[0]
    recon_loss = F.mse_loss(recon, x, reduction="sum") / batch_size
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp()) / batch_size
    loss = recon_loss + kl_weight * kl
    return loss, recon_loss, kl
