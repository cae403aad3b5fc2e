import torch
import torch.nn as nn


class GanTrainer:
    def train_step(self, real, step):
        batch_size = real.size(0)
        real_labels = torch.ones(batch_size, 1, device=self.device)
        fake_labels = torch.zeros(batch_size, 1, device=self.device)
        noise = torch.randn(batch_size, self.latent_dim, device=self.device)
        fake = self.generator(noise)
        real_loss = self.bce_loss(self.discriminator(real), real_labels)
        fake_loss = self.bce_loss(self.discriminator(fake.detach()), fake_labels)
        d_loss = real_loss + fake_loss
        self.opt_d.zero_grad()
        d_loss.backward()
        self.opt_d.step()
        g_loss = None
        if step % self.n_critic == 0:
            g_loss = self.bce_loss(self.discriminator(fake), real_labels) + self.lambda_l1 * (fake - real).abs().mean()
            self.opt_g.zero_grad()
            g_loss.backward()
            self.opt_g.step()
        return d_loss, g_loss
