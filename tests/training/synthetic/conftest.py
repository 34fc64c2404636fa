"""What is slow to set up is shared by the tests of synthetic people."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def synthesiser(data_dir: Path):
    """A synthesiser of 256×256 pictures."""
    pytest.importorskip("threadpoolctl", reason="needs the extra train")
    from training.synthetic.dataset import Synthesiser

    with Synthesiser(data_dir) as own:
        yield own


@pytest.fixture(scope="session")
def people(synthesiser):
    """The people whom it draws."""
    return synthesiser._people


@pytest.fixture(scope="session")
def samples(synthesiser):
    """A dozen samples of a dozen people; index and sample."""
    return {index: synthesiser.sample(11, index) for index in range(0, 48, 4)}
