import torch.nn as nn


def prepare_model(model, train_head_only, trainable_names, unfreeze_from=6):
    for name, param in model.named_parameters():
        if "lora_" in name:
            param.requires_grad = True
        elif name.startswith("encoder.layer"):
            param.requires_grad = int(name.split(".")[2]) >= unfreeze_from
        else:
            param.requires_grad = not train_head_only
    model.scale = nn.Parameter(model.scale.clone(), requires_grad=True)
    trainable = [p for p in model.parameters() if p.requires_grad]
    print("trainable parameters", sum(p.numel() for p in trainable))
    return model
