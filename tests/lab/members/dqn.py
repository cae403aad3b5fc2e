import copy
import random

import numpy as np
import torch
import torch.nn.functional as F


class DQNAgent:
    def learn(self, replay, batch_size=32, gamma=0.99, tau=0.005, target_update_freq=1000):
        states, actions, rewards, next_states, dones = replay.sample(batch_size)
        with torch.no_grad():
            next_actions = self.online_net(next_states).argmax(dim=1, keepdim=True)
            next_q = self.target_net(next_states).gather(1, next_actions).squeeze(1)
            target = rewards + gamma * next_q * (1 - dones)
        q = self.online_net(states).gather(1, actions).squeeze(1)
        loss = F.smooth_l1_loss(q, target)
        self.optimizer.zero_grad()
        loss.backward()
        for param in self.online_net.parameters():
            param.grad.data.clamp_(-1, 1)
        self.optimizer.step()
        self.step_count += 1
        if self.step_count % target_update_freq == 0:
            self.target_net.load_state_dict(self.online_net.state_dict())
        epsilon = max(self.eps_min, self.eps_start * self.eps_decay**self.step_count)
        return loss.item(), epsilon
