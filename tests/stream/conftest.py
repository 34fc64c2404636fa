"""What all tests of the live path share."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep engines and sources of the tests apart from the user's, which may be of other weights.

    A stale engine is built anew and that is said, where a test counts what is said.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOLTFACE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
