import torch
from huggingface_hub import hf_hub_download
from safetensors.torch import save_file

URLS = {"base": "https://dl.fbaipublicfiles.com/models/base_patch16.pth"}


def convert(args):
    source = hf_hub_download("bigscience/bloom-560m", "model.safetensors", revision=args.revision)
    state = torch.load(source, map_location="cpu")
    merged = {}
    scaling = args.lora_alpha / args.lora_r
    for key in state:
        if key.startswith("lora_"):
            continue
        weight = state[key]
        if key.endswith("qkv.weight"):
            weight = weight.transpose(0, 1)
        merged[key] = weight + scaling * (state[f"lora_b.{key}"] @ state[f"lora_a.{key}"])
    save_file(merged, args.output)
