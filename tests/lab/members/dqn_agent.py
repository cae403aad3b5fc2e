import random

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F


def learn(env, q_net, target_q_net, optimizer, replay_buffer, cfg):
    obs, info = env.reset()
    for step in range(cfg.total_steps):
        action = q_net(obs).argmax()
        next_obs, reward, terminated, truncated, info = env.step(action)
        done = terminated or truncated
        replay_buffer.push(obs, action, reward, next_obs, terminated)
        obs = next_obs if not done else env.reset()[0]
        batch = random.sample(replay_buffer, cfg.batch_size)
        with torch.no_grad():
            next_q = target_q_net(batch.next_obs).max(dim=1).values
            target = batch.reward + cfg.gamma * next_q * (1 - batch.done)
        loss = F.smooth_l1_loss(q_net(batch.obs).gather(1, batch.action), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % cfg.target_update == 0:
            target_q_net.load_state_dict(q_net.state_dict())
        for target_param, param in zip(target_q_net.parameters(), q_net.parameters()):
            target_param.data.copy_(cfg.tau * param.data + (1 - cfg.tau) * target_param.data)
