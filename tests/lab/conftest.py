"""The members are material to plant in; one of them looks like a test. Tests in ``torch`` run in the lab only."""

from importlib.metadata import PackageNotFoundError, distribution

collect_ignore = ["members"]
try:
    distribution("torch")  # by its name: a folder of tests is called so, too
except PackageNotFoundError:
    collect_ignore.append("torch")
