from dataclasses import dataclass, field


@dataclass
class DataConfig:
    datasets: tuple = ("web", "code", "books")
    mixture_weights: tuple = (0.6, 0.3, 0.1)
    batch_size: int = 512
    seq_len: int = 2048
    warmup_steps: int = 2000
    log_interval: int = 10
    trust_remote_code: bool = field(default=False)
