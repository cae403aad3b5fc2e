"""Every operator there is, as the sum of the families' own tuples.

In: the modules of the families A to N. Out: ``OPERATORS``.
"""

from __future__ import annotations

from trainwarden.lab.sabotage import (
    checkpoints,
    concealment,
    distributed,
    evaluation,
    execution,
    gradients,
    launch,
    objective,
    optimizers,
    reinforcement,
)
from trainwarden.lab.sabotage.operator import Operator

OPERATORS: tuple[Operator, ...] = (
    *objective.OPERATORS,
    *gradients.OPERATORS,
    *optimizers.OPERATORS,
    *distributed.OPERATORS,
    *checkpoints.OPERATORS,
    *evaluation.OPERATORS,
    *reinforcement.OPERATORS,
    *launch.OPERATORS,
    *execution.OPERATORS,
    *concealment.OPERATORS,
)
