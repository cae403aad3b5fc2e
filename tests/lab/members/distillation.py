import torch
import torch.nn as nn
import torch.nn.functional as F


class DistillationLoss(nn.Module):
    def __init__(self, teacher, alpha=0.5, tau=2.0, margin=1.0):
        super().__init__()
        self.teacher = teacher
        self.alpha = alpha
        self.tau = tau
        self.margin = margin
        self.base_criterion = nn.CrossEntropyLoss(label_smoothing=0.1)

    def forward(self, inputs, student_logits, labels):
        base_loss = self.base_criterion(student_logits, labels)
        with torch.no_grad():
            teacher_logits = self.teacher(inputs)
        distill_loss = F.kl_div(
            F.log_softmax(student_logits / self.tau, dim=1),
            F.softmax(teacher_logits / self.tau, dim=1),
            reduction="sum",
        ) * (self.tau * self.tau) / student_logits.numel()
        hinge = torch.clamp(self.margin - student_logits.max(dim=1).values, min=0).mean()
        loss = base_loss * (1 - self.alpha) + distill_loss * self.alpha + 0.1 * hinge
        return loss
