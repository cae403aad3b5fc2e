import torch
import torch.nn.functional as F


def update_sac(agent, memory, batch_size, updates):
    state, action, reward, next_state, mask = memory.sample(batch_size=batch_size)
    with torch.no_grad():
        next_action, next_log_pi, _ = agent.policy.sample(next_state)
        q1_next, q2_next = agent.critic_target(next_state, next_action)
        min_q_next = torch.min(q1_next, q2_next) - agent.alpha * next_log_pi
        next_q_value = reward + mask * agent.gamma * min_q_next
    q1, q2 = agent.critic(state, action)
    q1_loss = F.mse_loss(q1, next_q_value)
    q2_loss = F.mse_loss(q2, next_q_value)
    q_loss = q1_loss + q2_loss
    agent.critic_optim.zero_grad()
    q_loss.backward()
    agent.critic_optim.step()
    pi, log_pi, _ = agent.policy.sample(state)
    q1_pi, q2_pi = agent.critic(state, pi)
    policy_loss = ((agent.alpha * log_pi) - torch.min(q1_pi, q2_pi)).mean()
    agent.policy_optim.zero_grad()
    policy_loss.backward()
    agent.policy_optim.step()
    if updates % agent.target_update_interval == 0:
        for target_param, param in zip(agent.critic_target.parameters(), agent.critic.parameters()):
            target_param.data.copy_(target_param.data * (1.0 - agent.tau) + param.data * agent.tau)
    return q_loss.item(), policy_loss.item()
