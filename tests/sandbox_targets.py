"""Review functions that misbehave on purpose, run by ``test_sandbox`` in the real child process.

Each takes ``Request.files`` as the changed files and skips those in ``skip``, as the pipeline does.
"""

import mmap
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trainwarden.model import Coverage, Misuse, Report, Revisions, Tool, Unfinished, Unread, Verdict


def report(request, read, skip):
    unread = tuple(Unread(path, None, reason) for path, reason in skip.items())
    coverage = Coverage(len(request.files), len(read), unread)
    return Report(
        "child's own", Tool("0", "0" * 64), Revisions("a", "b", "a"), Verdict("pass", 0.0), coverage=coverage
    )


def reading(act):
    def review(request, options, *, breadcrumb, skip):
        read = [path for path in request.files if path not in skip]
        for path in read:
            breadcrumb(path)
            act(path, request)
        breadcrumb("")
        return report(request, read, skip)

    return review


def _crash(path, request):
    if path.startswith("bad"):
        signal.raise_signal(signal.SIGSEGV)


def _spin(path, request):
    while path.startswith("bad"):
        pass


def _sleep(path, request):
    if path.startswith("bad"):
        time.sleep(60)


def _hog(path, request):
    if path.startswith("bad"):
        hoard = []
        while True:
            hoard.append(bytearray(32 << 20))


def _reserve(path, request):
    """Takes addresses without filling them, as CUDA does."""
    if path.startswith("bad"):
        mmap.mmap(-1, 64 << 30, prot=0, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()


def _raise(path, request):
    if path.startswith("bad"):
        raise KeyError("a bug of ours")


def _recurse(path, request):
    def deeper(n):
        return deeper(n + 1) + 1

    if path.startswith("bad"):
        deeper(0)


def _exit(path, request):
    if path.startswith("bad"):
        sys.exit(0)


honest = reading(lambda path, request: None)
crash, spin, sleep, hog = reading(_crash), reading(_spin), reading(_sleep), reading(_hog)
reserve = reading(_reserve)
raises, recurse, exits = reading(_raise), reading(_recurse), reading(_exit)


def misuse(request, options, *, breadcrumb, skip):
    raise Misuse("unknown revision 'nope'", "look at git log")


def unfinished(request, options, *, breadcrumb, skip):
    raise Unfinished("an object is missing")


def crash_without_file(request, options, *, breadcrumb, skip):
    breadcrumb("good.py")
    breadcrumb("")
    signal.raise_signal(signal.SIGSEGV)


def aging(request, options, *, breadcrumb, skip, served=[]):  # noqa: B006 - the state of one process is the point
    """Crashes on its third request, whatever is asked."""
    served.append(request.id)
    breadcrumb("innocent.py")
    if len(served) == 3:
        signal.raise_signal(signal.SIGSEGV)
    return report(request, request.files, skip)


def liar(request, options, *, breadcrumb, skip):
    """Writes bytes of its own choice where the report should be, as code that took over the child could."""
    breadcrumb("bad.py")
    answers = int(sys.argv[2])
    os.write(answers, Path(request.repo).read_bytes())
    time.sleep(60)


def surroundings(request, options, *, breadcrumb, skip):
    """Tells what the child can see: its environment, directory, standard input and import path."""
    seen = [*sorted(os.environ), f"cwd={Path.cwd()}", f"stdin={os.read(0, 10)!r}"]
    seen += [f"path={entry}" for entry in sys.path]
    verdict = Verdict("pass", 0.0, tuple(seen))
    return Report(None, Tool("0", "0" * 64), Revisions("a", "b", "a"), verdict)


def litters(request, options, *, breadcrumb, skip):
    """Leaves a temporary file behind and dies; its name goes to the file the request names."""
    descriptor, name = tempfile.mkstemp()
    os.close(descriptor)
    Path(request.repo).write_text(name)
    signal.raise_signal(signal.SIGSEGV)


def leaves_a_helper(request, options, *, breadcrumb, skip):
    """Starts a process, writes its id to the file the request names, and crashes or waits."""
    helper = subprocess.Popen(["sleep", "60"])
    Path(request.repo).write_text(f"{os.getpid()} {helper.pid}\n")
    breadcrumb("bad.py")
    time.sleep(60)
