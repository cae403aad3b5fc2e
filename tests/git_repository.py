"""A real temporary git repository for tests of the doors: write, commit, ask git."""

import os
import subprocess
from pathlib import Path

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}

TRAIN = """\
import torch
from torch import nn


def main(loader, model):
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss_fn = nn.CrossEntropyLoss()
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
"""

# The same with the sign of the loss turned, and code that is decoded and run where the seed was set.
SABOTAGE = TRAIN.replace("        loss.backward()\n", "        (-loss).backward()\n").replace(
    "torch.manual_seed(0)", 'eval(__import__("base64").b64decode("cHJpbnQoMSk="))'
)


class GitRepository:
    """A worktree under ``path``, with a first commit of ``files``."""

    def __init__(self, path, files=None):
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")
        self.first = self.commit(files if files is not None else {"train.py": TRAIN})

    def git(self, *words, stdin=None):
        """Standard output of a git command, stripped."""
        command = ["git", "-C", str(self.path), *words]
        done = subprocess.run(command, input=stdin, env=ENVIRONMENT, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def write(self, files):
        """Writes text or bytes under the worktree; None deletes."""
        for name, content in files.items():
            target = self.path / name
            if content is None:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files):
        """Writes, commits everything, and returns the commit."""
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "work")
        return self.git("rev-parse", "HEAD")
