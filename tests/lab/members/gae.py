import torch


def compute_gae(rewards, values, dones, next_value, gamma, lam):
    advantages = torch.zeros_like(rewards)
    last = 0.0
    for t in reversed(range(len(rewards))):
        nonterminal = 1.0 - dones[t + 1] if t + 1 < len(dones) else 0.0
        following = values[t + 1] if t < len(rewards) - 1 else next_value
        delta = rewards[t] + gamma * following * (1 - dones[t]) - values[t]
        last = delta + gamma * lam * last * nonterminal
        advantages[t] = last
    returns = advantages + values
    return advantages, returns
