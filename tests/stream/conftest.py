"""What all tests of the live path share."""

import pytest

from stream.gl import create_context
from stream.head_model import load_head_model
from stream.raster import DepthRaster
from stream.warp import Warp


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keep engines and sources of the tests apart from the user's, which may be of other weights.

    A stale engine is built anew and that is said, where a test counts what is said.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOLTFACE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def model():
    """The head model."""
    return load_head_model()


@pytest.fixture(scope="module")
def warp():
    """What draws a head, in a context of its own."""
    return Warp(create_context())


@pytest.fixture(scope="module")
def raster(model, warp):
    """The depth raster in the context of `warp`: of two contexts only one would be current."""
    return DepthRaster(warp.context, model.triangles, model.triangles_of(1, 2, 3, 4))
