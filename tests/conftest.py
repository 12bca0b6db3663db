"""Where the tests find real data."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips, photos, sounds and golden values that lies beside the checkout."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no real data beside the checkout (../shared)")
    return SHARED
