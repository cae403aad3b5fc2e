import argparse

import torch

from helpers import str2bool


def parse_args():
    parser = argparse.ArgumentParser("training")
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--epochs", type=int, default=100, help="passes over the data")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--amp", type=str2bool, default=True)
    parser.add_argument("--deterministic", action="store_true")
    parser.add_argument("--trust-remote-code", type=str2bool, default=False)
    parser.add_argument("--log-interval", type=int, default=50)
    args = parser.parse_args()
    args.batch_size = args.batch_size // torch.cuda.device_count()
    args.optimizer = dict(lr=args.lr, weight_decay=args.weight_decay)
    return args
