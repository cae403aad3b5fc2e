import torch
import torch.nn as nn
import torch.nn.functional as F


class OldNet(nn.Module):
    def forward(self, x, y=None, return_features=False):
        super(OldNet, self).train(self.training)
        unused = 3
        feats = []
        for layer in self.layers:
            feats.append(layer(x))
        x = self.encoder(x)
        with torch.no_grad():
            with torch.autograd.profiler.record_function("stats"):
                self.mean = x.mean()
        features = self.backbone(x)
        if return_features:
            return features
        else:
            loss = F.cross_entropy(self.head(features), y)
            return loss
