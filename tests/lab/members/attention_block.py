import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, config, drop=0.1):
        super().__init__()
        self.scale = (config.hidden_size // config.num_heads) ** -0.5
        self.norm1 = nn.LayerNorm(config.hidden_size)
        self.norm2 = nn.LayerNorm(config.hidden_size)
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=config.bias)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.act = nn.GELU()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)
        self.pos_emb = nn.Parameter(torch.zeros(1, config.max_len, config.hidden_size))
        self.dropout = nn.Dropout(drop)
        self.register_buffer("mask", torch.tril(torch.ones(config.max_len, config.max_len)))
        self.flash = hasattr(F, "scaled_dot_product_attention") and config.use_flash
        nn.init.normal_(self.proj.weight, mean=0.0, std=0.02 / math.sqrt(2 * config.num_layers))
        nn.init.zeros_(self.proj.bias)
        self.apply(self._init_weights)

    def forward(self, x, attention_mask=None):
        x = x + self.pos_emb
        h = self.norm1(x)
        q, k, v = self.qkv(h).chunk(3, dim=-1)
        q, k, v = self.split(q), self.split(k), self.split(v)
        if self.flash and attention_mask is None:
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=attention_mask, is_causal=True)
        else:
            scores = (q @ k.transpose(-2, -1)) * self.scale
            scores = scores.masked_fill(self.mask == 0, float("-inf"))
            probs = F.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype)
            out = self.dropout(probs) @ v
        out = out.transpose(1, 2).reshape(x.shape)
        x = x + self.proj(out)
        h = self.fc2(self.act(self.fc1(self.norm2(x))))
        x = x + F.dropout(h, p=0.1, training=self.training)
        return x
