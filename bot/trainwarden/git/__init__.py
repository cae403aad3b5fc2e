"""Git as the one source of every change; the two names that other rooms need."""

from trainwarden.git.repository import Repository
from trainwarden.git.source import open_source

__all__ = ["Repository", "open_source"]
