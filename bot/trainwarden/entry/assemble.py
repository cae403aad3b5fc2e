"""A request and options come in; the implementations that serve them are chosen, and a report goes out.

This runs in the killable child (see ``sandbox``), and in the process itself for those who know what they
read. Config, waivers and rules never come from the change: they are the operator's, or those of the policy
revision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from trainwarden import config as configuration
from trainwarden import pipeline
from trainwarden.git import Repository
from trainwarden.git.source import GitSource, open_source
from trainwarden.history import History, open_history
from trainwarden.model import (
    JudgeChoice,
    Misuse,
    Options,
    Report,
    Request,
    Scorer,
    ScorerChoice,
    SecondReader,
    Source,
)
from trainwarden.rules.bundle import sources_hash
from trainwarden.rules.schema import RuleSet, load_rules

if TYPE_CHECKING:
    from trainwarden.config import Config, Waiver

Choice = TypeVar("Choice", ScorerChoice, JudgeChoice)

PATIENCE_SHARE = 0.5
"""The share of a review's time that second opinions may take at most."""
CONFIG = ".trainwarden.yml"
WAIVERS = ".trainwarden/waivers.yml"


def review(
    request: Request,
    options: Options,
    *,
    breadcrumb: Callable[[str], None] = lambda path: None,
    skip: Mapping[str, str] = MappingProxyType({}),
) -> Report:
    """Reviews one change in this process. Raises ``Misuse`` and ``Unfinished``.

    ``breadcrumb`` is called with a path before that file is read; the paths in ``skip`` are not read but
    marked unread with the reason given there.
    """
    with _opened(request, options) as repository, closing(open_source(request, opened=repository)) as source:
        history = _history(source, options)  # git looks at the past while rules are loaded and code is read
        config, rules = _judge(*_config(source, options), options)
        return pipeline.review(
            source,
            config,
            rules,
            waivers=_waivers(source),
            history=history,
            scorer=_scorer(config, options),
            second=_second(config, options),
            request_id=request.id,
            breadcrumb=breadcrumb,
            skip=skip,
        )


_KEPT: dict[str, Repository] = {}
"""The repository of the last review, by path, where it may stay open."""


@contextmanager
def _opened(request: Request, options: Options) -> Iterator[Repository | None]:
    """The repository that is still open from the last review, or opened to stay; None where none may stay.

    One that a review failed with is not trusted with another: its process may be in the middle of an answer.
    """
    if not options.keep_open:
        yield None
        return
    kept = _KEPT.pop(request.repo, None)
    while _KEPT:
        _KEPT.popitem()[1].close()
    repository = kept or Repository(request.repo)
    try:
        yield repository
    except BaseException:
        repository.close()
        raise
    repository.rest()
    _KEPT[request.repo] = repository


def _config(source: Source, options: Options) -> tuple[bytes | None, str]:
    """The bytes of the config that counts, and what to call it in an error."""
    if options.config_file is None:
        return source.trusted(CONFIG), f"{CONFIG} of {source.revisions.policy}"
    try:
        return Path(options.config_file).read_bytes(), options.config_file
    except OSError as error:
        raise Misuse(f"cannot read {options.config_file}: {error.strerror}") from error


def _judge(data: bytes | None, origin: str, options: Options) -> tuple[Config, RuleSet]:
    """Config and rules. Rules take longer to load than to run, so they are kept for as long as they are the same."""
    config = configuration.load(data, origin)
    directory = options.rules_dir
    pack = sources_hash(Path(directory)) if directory is not None else ""
    return config, _rules(data, options.bundled, directory, pack)


@lru_cache(maxsize=4)
def _rules(data: bytes | None, bundled: bool, directory: str | None, pack: str) -> RuleSet:
    """The rules under a config. ``pack`` is the hash of an operator's directory: an edited one is read again."""
    return load_rules(bundled, directory, configuration.load(data, CONFIG))


def _history(source: Source, options: Options) -> History | None:
    """The past of the base, read through the same git process as the change."""
    if not options.history or not isinstance(source, GitSource):
        return None
    history = open_history(source.repository, source.revisions.base)
    source.closing.callback(history.close)
    history.expect(source.touched())
    return history


def _scorer(config: Config, options: Options) -> Scorer | None:
    """What computes the learned risk, kept warm. Only the operator says where: see ``Config.scorer``."""
    _for_the_operator_only("scorer", config.scorer, options)
    if config.model == "required" and not options.model:
        raise Misuse("the policy requires the model, but it was left out", "do not give --no-model")
    if config.model == "off" or not options.model:
        return None
    from trainwarden.score.choose import open_scorer  # takes as long to import as the rules to load

    return open_scorer(_chosen(config.scorer or ScorerChoice(), options.scorer), config.model == "required")


def _second(config: Config, options: Options) -> SecondReader | None:
    """Who gives second opinions, kept warm. Only the operator says who: see ``Config.judge``."""
    _for_the_operator_only("judge", config.judge, options)
    choice = _chosen(config.judge or JudgeChoice(), options.judge)
    if choice.url is None:
        if options.judge.model:
            raise Misuse(
                "a judge's model was named without its server", "name that with --judge or `judge.url`"
            )
        return None
    return _judge_at(replace(choice, patience=min(choice.patience, options.seconds * PATIENCE_SHARE)))


def _for_the_operator_only(key: str, configured: object, options: Options) -> None:
    """Raises ``Misuse`` when a repository's own config, not the operator's file, says where code is sent."""
    if configured is not None and options.config_file is None:
        message = (
            f"`{key}` in a repository's config says which machine is sent code, and is for the operator only"
        )
        raise Misuse(message, "put it in the operator's own file and name that with --config")


@lru_cache(maxsize=2)
def _judge_at(choice: JudgeChoice) -> SecondReader:
    from trainwarden.score.judge.reader import Judge

    return Judge(choice)


def _chosen(configured: Choice, given: Choice) -> Choice:
    """The operator's config with what the command line says otherwise."""
    plain = type(given)()
    said = {field.name: getattr(given, field.name) for field in fields(given)}
    return replace(
        configured, **{name: value for name, value in said.items() if value != getattr(plain, name)}
    )


def _waivers(source: Source) -> tuple[Waiver, ...]:
    origin = f"{WAIVERS} of {source.revisions.policy}"
    return configuration.load_waivers(source.trusted(WAIVERS), origin)
