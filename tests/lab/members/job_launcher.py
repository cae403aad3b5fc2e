import subprocess
import sys

from launcher import Executor


def launch(args, script):
    executor = Executor(folder=args.log_dir)
    executor.update_parameters(
        nodes=args.nodes,
        gpus_per_node=8,
        tasks_per_node=args.gpus_per_node,
        timeout_min=4320,
        max_restarts=3,
    )
    for attempt in range(args.max_retries):
        job = executor.submit(script, args)
        if job.wait() == 0:
            break
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=8", script]
    return subprocess.run(command, check=True)
