import torch
import wandb
from datasets import load_dataset

from engine import run_epoch, validate


class Runner:
    def fit(self, args):
        wandb.init(project="runs", config=vars(args))
        train_set = load_dataset("imdb", split="train")
        val_set = load_dataset("imdb", split="validation")
        best_acc, bad_epochs = 0.0, 0
        losses = []
        eval_iters = 200
        for epoch in range(self.start_epoch, args.epochs):
            self.model.train()
            loss = run_epoch(self.model, train_set, self.optimizer)
            losses.append(loss.item())
            self.train_loss.update(loss.item() * args.accum, args.batch_size)
            if (epoch + 1) % args.eval_every == 0 or epoch + 1 == args.epochs:
                acc = validate(self.model, val_set, eval_iters)
                if acc > best_acc:
                    best_acc = acc
                    bad_epochs = 0
                    self.save("best.pt")
                else:
                    bad_epochs += 1
                if bad_epochs >= args.patience:
                    break
            self.scheduler.step()
        return best_acc
