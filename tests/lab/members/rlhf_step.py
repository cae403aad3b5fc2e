import torch
import torch.nn.functional as F


class RLHFTrainer:
    def compute_loss(self, query, response, old_logprobs, values, rewards, response_mask):
        input_ids = torch.cat([query, response], dim=1)
        attention_mask = (input_ids != self.tokenizer.pad_token_id).long()
        logits = self.model(input_ids, attention_mask=attention_mask).logits
        with torch.no_grad():
            ref_logits = self.ref_model(input_ids, attention_mask=attention_mask).logits
        logprobs = torch.gather(F.log_softmax(logits[:, :-1], dim=-1), 2, input_ids[:, 1:].unsqueeze(-1)).squeeze(-1)
        ref_logprobs = torch.gather(F.log_softmax(ref_logits[:, :-1], dim=-1), 2, input_ids[:, 1:].unsqueeze(-1)).squeeze(-1)
        kl = logprobs - ref_logprobs
        rewards = rewards - self.kl_coef * kl
        rewards = torch.clamp(rewards, -self.clip_reward, self.clip_reward)
        advantages, returns = self.compute_advantages(values, rewards, response_mask)
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        ratio = torch.exp(logprobs - old_logprobs)
        pg_losses = -advantages * ratio
        pg_losses2 = -advantages * torch.clamp(ratio, 1.0 - self.cliprange, 1.0 + self.cliprange)
        pg_loss = (torch.max(pg_losses, pg_losses2) * response_mask).sum() / response_mask.sum()
        vf_loss = 0.5 * ((values - returns) ** 2 * response_mask).sum() / response_mask.sum()
        return pg_loss + self.vf_coef * vf_loss
