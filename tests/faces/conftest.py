"""A face finder that the tests of faces share."""

import pytest

from lipgan_colab.faces.detector import FaceFinder


@pytest.fixture(scope="session")
def finder():
    with FaceFinder() as finder:
        yield finder
