"""A browser and the notebook servers; what is missing skips the tests that need it, with the reason."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent))

SCREENSHOTS = "LIPGAN_SCREENSHOTS"  # a folder: what was seen is kept there
CLASSIC = "LIPGAN_CLASSIC"  # set: the front end of Colab's generation too, which is installed for it


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium, driven by playwright. (Playwright's own plays no H.264.)"""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium here (apt-get install chromium)")
    with sync_playwright() as driver:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session", params=["lab", "classic"])
def server(request, tmp_path_factory):
    """(kind, folder of the notebooks, address) of a running notebook server."""
    import front_ends

    lab = request.param == "lab"
    if not lab and not os.environ.get(CLASSIC):
        pytest.skip(f"notebook 6.5 with ipywidgets 7.7.1 is driven where {CLASSIC} is set")
    folder = tmp_path_factory.mktemp(request.param)
    python = Path(sys.executable) if lab else front_ends.colabs_python(folder / "venv")
    notebooks = front_ends.lay_out(folder / "checkout")
    with front_ends.served(python, notebooks, lab) as url:
        yield request.param, notebooks, url


@pytest.fixture(scope="session")
def screenshots():
    """Where to keep screenshots; None for nowhere."""
    return Path(os.environ[SCREENSHOTS]) if os.environ.get(SCREENSHOTS) else None
