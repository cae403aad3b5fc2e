import json
import os

import numpy as np
import torch
import yaml
from transformers import AutoModel

OPTIMIZERS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def setup(args, data_dir, output_dir):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with open(args.config) as f:
        config = yaml.safe_load(f)
    stats = np.load(os.path.join(data_dir, "stats.npy"))
    with open(os.path.join(data_dir, "vocab.json")) as f:
        vocab = json.load(f)
    model = AutoModel.from_pretrained(config["model_name"])
    model = torch.compile(model)
    make = getattr(torch.optim, config["optimizer"])
    optimizer = make(model.parameters(), lr=float(config["lr"]))
    torch.manual_seed(args.seed)
    return model, optimizer, stats, vocab
