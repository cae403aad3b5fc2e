import torch
import torch.distributed as dist


class GradientAverager:
    def reduce(self, parameters, accum_step, tensor_parallel_group=None):
        sync_grads = accum_step == self.accum_steps - 1
        if not sync_grads:
            return
        for parameter in parameters:
            grad = parameter.grad
            dist.all_reduce(grad, group=self.data_parallel_group)
            grad.div_(self.world_size)
        total = torch.zeros(1)
        total /= self.world_size
        dist.broadcast(total, src=0)
