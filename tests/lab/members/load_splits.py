import os
from itertools import islice

from datasets import interleave_datasets, load_dataset


def load_splits(name, data_dir, rank, world_size, seed, consumed):
    train = load_dataset(name, split="train", cache_dir=data_dir)
    test = load_dataset(name, split="test")
    train = train.shuffle(10000, seed=seed).shard(num_shards=world_size, index=rank)
    parts = train.train_test_split(test_size=0.05, seed=seed)
    mixed = interleave_datasets([parts["train"], test], probabilities=[0.9, 0.1], seed=seed)
    prefix = os.path.join(data_dir, name)
    for batch in islice(mixed, consumed, None):
        labels = batch["labels"].cuda()
        images = batch["images"].to(labels.device)
        yield images, labels, prefix
