"""What a worker's cases are."""
import dataclasses
import typing


@dataclasses.dataclass
class Case:
    run: typing.Callable  # does so many calls
    result: typing.Callable = None  # returns what the latest call computed, as a NumPy array
    facts: dict = None


def repeated(function):
    """Returns a Case's run that calls function."""
    def run(calls):
        for _ in range(calls):
            function()
    return run
