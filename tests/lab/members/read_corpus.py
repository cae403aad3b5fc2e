import json
import random

import numpy as np


def read_corpus(path, tokenizer, max_length=1024, val_fraction=0.01, seed=0):
    with open(path) as handle:
        records = [json.loads(line) for line in handle]
    records = [r for r in records if len(r["text"]) > 32 and len(r["text"]) < 100000]
    rng = np.random.RandomState(seed)
    order = rng.permutation(len(records))
    split = int(len(records) * (1 - val_fraction))
    train_idx, val_idx = order[:split], order[split:]
    few = rng.choice(len(train_idx), 8, replace=False)
    tokens = [
        tokenizer(records[i]["text"], max_length=max_length, truncation=True) for i in range(len(records))
    ]
    print("examples", [records[i]["text"][:80] for i in few], random.randint(0, 9))
    return [tokens[i] for i in train_idx], [tokens[i] for i in val_idx]
