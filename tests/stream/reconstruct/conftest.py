"""What several tests of reconstruct need."""

import pytest

from stream.gl import create_context
from stream.head_model import load_head_model
from stream.raster import DepthRaster


@pytest.fixture(scope="module")
def model():
    return load_head_model()


@pytest.fixture(scope="module")
def raster(model):
    context = create_context()
    yield DepthRaster(context, model.triangles)
    context.release()
