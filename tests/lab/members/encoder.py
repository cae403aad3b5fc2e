import torch
import torch.nn as nn
import torch.nn.functional as F


class Encoder(nn.Module):
    def __init__(self, dim, depth, heads, num_classes, drop=0.1, attn_drop=0.0, drop_path=0.1):
        super().__init__()
        self.embed = nn.Conv2d(3, dim, 16, 16)
        self.layers = nn.ModuleList(
            [Layer(dim, num_heads=heads, drop=drop, attn_drop=attn_drop) for _ in range(depth)]
        )
        self.head = nn.Linear(dim, num_classes)
        self.bn = nn.BatchNorm1d(dim)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.reset_parameters()

    def forward(self, img):
        x = self.embed(img).flatten(2).transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        x = F.relu(x)
        x = self.bn(x.mean(dim=1))
        logits = self.head(x)
        return logits


class RMSNorm(nn.Module):
    def forward(self, x):
        var = x.pow(2).mean(-1, keepdim=True)
        return x * torch.rsqrt(var + self.eps) * self.weight
