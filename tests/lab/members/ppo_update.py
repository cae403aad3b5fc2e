import copy

import torch


class PPOTrainer:
    def update(self, batch):
        reward_scores = batch.scores
        reward_scores = torch.clamp(reward_scores, -self.cfg.clip_reward, self.cfg.clip_reward)
        ref_model = copy.deepcopy(self.model)
        ref_logprobs = ref_model(batch.ids)
        logprobs, values, entropy = self.policy(batch.ids)
        log_ratio = (logprobs - batch.old_logprobs) * batch.mask
        ratio = torch.exp(logprobs - batch.old_logprobs)
        kl = logprobs - ref_logprobs
        rewards = reward_scores - self.kl_coef * kl
        advantages = batch.advantages
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        surr1 = -advantages * ratio
        surr2 = -advantages * torch.clamp(ratio, 1.0 - self.clip_eps, 1.0 + self.clip_eps)
        policy_loss = (torch.max(surr1, surr2) * batch.mask).sum() / batch.mask.sum()
        value_loss = ((values[:, -1] - batch.returns) ** 2).mean()
        loss = policy_loss + self.vf_coef * value_loss - self.ent_coef * entropy
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.cfg.max_grad_norm)
        self.optimizer.step()
        return {"loss": loss.item(), "kl": kl.mean().item(), "reward": rewards.mean().item(), "ratio": log_ratio}
