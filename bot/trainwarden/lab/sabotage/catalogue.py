"""Every operator there is, as the sum of the families' own tuples.

In: the modules of the families A to N. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage import (
    architecture_attention,
    architecture_flow,
    architecture_layers,
    binding,
    checkpoints,
    concealment,
    data_content,
    data_labels,
    data_order,
    data_transform,
    distributed,
    evaluation,
    execution,
    gradients,
    launch,
    monitoring,
    numerics,
    objective,
    optimizers,
    persistence,
    processes,
    randomness,
    reinforcement,
    restoring,
    rewards,
)
from trainwarden.lab.sabotage.operator import Operator

OPERATORS: tuple[Operator, ...] = (
    *objective.OPERATORS,
    *gradients.OPERATORS,
    *optimizers.OPERATORS,
    *data_order.OPERATORS,
    *data_content.OPERATORS,
    *data_transform.OPERATORS,
    *data_labels.OPERATORS,
    *randomness.OPERATORS,
    *architecture_layers.OPERATORS,
    *architecture_attention.OPERATORS,
    *architecture_flow.OPERATORS,
    *numerics.OPERATORS,
    *distributed.OPERATORS,
    *processes.OPERATORS,
    *checkpoints.OPERATORS,
    *restoring.OPERATORS,
    *evaluation.OPERATORS,
    *monitoring.OPERATORS,
    *reinforcement.OPERATORS,
    *rewards.OPERATORS,
    *launch.OPERATORS,
    *execution.OPERATORS,
    *persistence.OPERATORS,
    *concealment.OPERATORS,
    *binding.OPERATORS,
)
