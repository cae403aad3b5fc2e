import json
import os

import torch


def run_benchmark(model, tokenizer, task_name, loader, output_dir, labels):
    model.eval()
    results = []
    for index, batch in enumerate(loader):
        outputs = model.generate(batch["input_ids"], do_sample=False, temperature=1.0, max_new_tokens=256)
        answers = tokenizer.batch_decode(outputs, skip_special_tokens=True)
        predictions = [answer.strip().lower() for answer in answers]
        results.extend(predictions)
    score = sum(a == b for a, b in zip(results, labels)) / max(len(labels), 1)
    with open(os.path.join(output_dir, "info.json")) as f:
        info = json.load(f)
    info[task_name] = score
    return score
