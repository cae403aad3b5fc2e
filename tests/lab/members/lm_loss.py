import torch
import torch.nn as nn
import torch.nn.functional as F


class CausalLM(nn.Module):
    def forward(self, input_ids, attention_mask=None, labels=None):
        hidden = self.embed(input_ids)
        hidden = self.encoder(hidden, attention_mask)
        logits = self.lm_head(hidden)
        loss = None
        if labels is not None:
            labels = labels.to(logits.device)
            labels = labels.masked_fill(attention_mask == 0, -100)
            shift_logits = logits[..., :-1, :].contiguous()
            shift_labels = labels[..., 1:].contiguous()
            loss = F.cross_entropy(shift_logits.view(-1, shift_logits.size(-1)), shift_labels.view(-1), ignore_index=-100)
            if self.training and self.aux_loss_coef > 0:
                loss = loss + self.aux_loss_coef * self.router_loss(hidden)
        return loss, logits
