"""Scores from a real inference server: the same as our own, and a stated way out when it fails."""

import threading
import time
from contextlib import closing

import pytest

from trainwarden.model import Misuse, ScorerChoice, Unfinished
from trainwarden.score.breaker import Breaker
from trainwarden.score.choose import open_scorer
from trainwarden.score.embedded import Embedded
from trainwarden.score.remote import Remote

PROTOCOLS = ("http", "grpc")


@pytest.fixture(scope="module")
def own(served):
    return Embedded(served)


@pytest.fixture
def fresh(server):
    """The server, up and well-behaved, whatever a test did to it."""
    server.behave()
    yield server
    server.behave()


def url(server, protocol):
    return f"{protocol}://127.0.0.1:{getattr(server, protocol)}"


def remote(model, server, protocol, fallback=None, breaker=None, /, **choice):
    patient = {"seconds": 60.0} | choice
    return Remote(model, ScorerChoice(url=url(server, protocol), **patient), fallback, breaker)


def same(found, wanted):
    """Equal but for what half precision rounds differently in a batch."""
    assert [score.logit for score in found] == pytest.approx([score.logit for score in wanted], abs=0.05)
    for one, other in zip(found, wanted, strict=True):
        assert dict(one.lines) == pytest.approx(dict(other.lines), abs=0.05)
    agreed = sum(one.family == other.family for one, other in zip(found, wanted, strict=True))
    assert agreed >= 0.9 * len(found)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_says_what_we_say(model, fresh, own, units, protocol):
    with closing(remote(model, fresh, protocol)) as scorer:
        found = scorer.score(units)
        assert len({score.logit for score in found}) > len(units) // 2
        same(found, own.score(units))
        assert scorer.name == f"change-risk (127.0.0.1:{getattr(fresh, protocol)}, version 7)"
        assert scorer.notes == ()
        assert scorer.digest == model.digest
        assert scorer.score(()) == ()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_several_threads_share_a_client(model, fresh, own, units, protocol):
    wanted = own.score(units[:8])
    found = {}
    with closing(remote(model, fresh, protocol)) as scorer:

        def work(name):
            found[name] = scorer.score(units[:8])

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == [0, 1, 2, 3]
    for scores in found.values():
        same(scores, wanted)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_another_model_is_an_error_and_no_fallback(model, fresh, own, units, protocol):
    with (
        closing(remote(model, fresh, protocol, own, model="something-else")) as scorer,
        pytest.raises(Misuse, match="reads pixels FP32, but change-risk reads ids INT64"),
    ):
        scorer.score(units)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_model_that_is_not_there_is_an_error(model, fresh, own, units, protocol):
    with (
        closing(remote(model, fresh, protocol, own, model="no/such model")) as scorer,
        pytest.raises(Misuse, match="asked for the model 'no/such model'") as refused,
    ):
        scorer.score(units)
    assert "see that the name is right" in refused.value.hint


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_slow_server_costs_one_bounded_wait(model, fresh, own, units, protocol):
    fresh.behave(seconds=30)
    with closing(remote(model, fresh, protocol, own, seconds=0.8)) as scorer:
        started = time.monotonic()
        found = scorer.score(units[:6])
        assert time.monotonic() - started < 29, "it would have answered by then"
        assert found == own.score(units[:6])
        address = f"127.0.0.1:{getattr(fresh, protocol)}"
        assert scorer.name.startswith(f"change-risk (embedded: {address} did not answer within 0.")
        assert scorer.notes == (f"The learned risk was computed by {scorer.name}.",)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_wrong_answer_is_not_taken(model, fresh, own, units, protocol):
    fresh.behave(answer="short")
    said = "answered lines as FP32"
    with closing(remote(model, fresh, protocol, own)) as scorer:
        assert scorer.score(units[:3]) == own.score(units[:3])
        assert said in scorer.name
    with closing(remote(model, fresh, protocol)) as alone, pytest.raises(Unfinished, match=said) as failed:
        alone.score(units[:3])
    assert "trainwarden[model]" in failed.value.hint


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_dies_is_left_alone_and_found_again(model, fresh, own, units, protocol):
    clock = Clock()
    few = units[:3]
    wanted = own.score(few)
    address = f"127.0.0.1:{getattr(fresh, protocol)}"
    breaker = Breaker(limit=2, rest=60, clock=clock)
    with closing(remote(model, fresh, protocol, own, breaker)) as scorer:
        same(scorer.score(few), wanted)
        fresh.kill()
        try:
            for _ in range(2):
                assert scorer.score(few) == wanted
                assert scorer.name == f"change-risk (embedded: {address} did not answer)"
            assert scorer.score(few) == wanted
            assert scorer.name == f"change-risk (embedded: {address} is left alone after 2 failures)"
        finally:
            fresh.start()
        assert scorer.score(few) == wanted
        assert "is left alone" in scorer.name, "it is back, but it is still its rest"
        clock.now += 61
        same(scorer.score(few), wanted)
        assert scorer.name == f"change-risk ({address}, version 7)"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_restarts_is_asked_again(model, fresh, own, units, protocol):
    """It is stopped while a request is on its way and goes on before the time is up: nobody notices."""
    with closing(remote(model, fresh, protocol)) as scorer:
        scorer.score(units[:2])
        fresh.pause()
        timer = threading.Timer(0.5, fresh.resume)
        timer.start()
        same(scorer.score(units[:2]), own.score(units[:2]))
        timer.join()
        assert "version 7" in scorer.name


def test_the_choice_of_a_url_is_a_remote_scorer(folder, fresh, own, units):
    with closing(
        open_scorer(ScorerChoice(folder=str(folder), url=url(fresh, "http"), seconds=60), required=True)
    ) as scorer:
        same(scorer.score(units[:2]), own.score(units[:2]))
        assert "version 7" in scorer.name


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self):
        return self.now
