import copy

import torch

IGNORE_INDEX = -100


def preprocess(sources, targets, tokenizer, max_length=2048):
    examples = [s + t for s, t in zip(sources, targets)]
    tokenized = tokenizer(examples, max_length=max_length, truncation=True, padding="longest", return_tensors="pt")
    source_lens = [len(tokenizer(s).input_ids) for s in sources]
    input_ids = tokenized["input_ids"]
    labels = copy.deepcopy(input_ids)
    for label, source_len in zip(labels, source_lens):
        label[:source_len] = IGNORE_INDEX
    labels[labels == tokenizer.pad_token_id] = IGNORE_INDEX
    prompt_mask = [IGNORE_INDEX] * source_lens[0]
    assert input_ids.shape == labels.shape
    return dict(input_ids=input_ids, labels=labels, attention_mask=input_ids.ne(tokenizer.pad_token_id))
