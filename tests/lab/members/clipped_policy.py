import numpy as np
import torch
import torch.nn as nn


class PPO:
    def update(self, rollouts):
        advantages = rollouts.returns[:-1] - rollouts.value_preds[:-1]
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-5)
        value_loss_epoch = 0
        for _ in range(self.ppo_epoch):
            for sample in rollouts.feed_forward_generator(advantages, self.num_mini_batch):
                obs, actions, value_preds, returns, old_log_probs, adv_targ = sample
                values, log_probs, entropy = self.actor_critic.evaluate_actions(obs, actions)
                ratio = torch.exp(log_probs - old_log_probs)
                surr1 = ratio * adv_targ
                surr2 = torch.clamp(ratio, 1.0 - self.clip_param, 1.0 + self.clip_param) * adv_targ
                policy_loss = -torch.min(surr1, surr2).mean()
                clipped = value_preds + (values - value_preds).clamp(-self.clip_param, self.clip_param)
                value_loss = 0.5 * torch.max((values - returns).pow(2), (clipped - returns).pow(2)).mean()
                approx_kl = (old_log_probs - log_probs).mean().item()
                if self.target_kl is not None and approx_kl > 1.5 * self.target_kl:
                    break
                self.optimizer.zero_grad()
                loss = policy_loss + self.value_loss_coef * value_loss - self.entropy_coef * entropy
                loss.backward()
                nn.utils.clip_grad_norm_(self.actor_critic.parameters(), self.max_grad_norm)
                self.optimizer.step()
                value_loss_epoch += value_loss.item()
        return value_loss_epoch / (self.ppo_epoch * self.num_mini_batch)
