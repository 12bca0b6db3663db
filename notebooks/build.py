"""Makes the notebooks of their sources: python notebooks/build.py

A source is Markdown whose code blocks become the cells. [badge] becomes the link that opens the notebook in Colab,
[setup] the cell that all of them begin with, [[NAME]] a number of lipgan_colab/notebook/timings.py.
"""

import re
import sys
from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from lipgan_colab.notebook.timings import filled  # noqa: E402

SOURCES = HERE / "sources"
FORM = re.compile(r"^workspace_name = .*# @param", re.MULTILINE)  # what all notebooks ask
METADATA = {
    "accelerator": "GPU",
    "colab": {"gpuType": "T4", "provenance": [], "toc_visible": True},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def repository() -> str:
    """The address that the setup cell installs from."""
    return re.search(r'^repository = "(.+?)"', (SOURCES / "setup.md").read_text(encoding="utf-8"), re.MULTILINE)[1]


def badge(name: str) -> str:
    """The link, as Markdown, that opens a notebook in Colab."""
    address = repository().replace("https://github.com/", "https://colab.research.google.com/github/")
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    return f"[![Open in Colab]({picture})]({address}/blob/main/notebooks/{name}.ipynb)"


def seen_as(cell: nbformat.NotebookNode) -> dict:
    """A code cell's metadata: a form in Colab. JupyterLab knows no forms, and shows of the code nothing but the title,
    where there is nothing to fill in."""
    hidden = {} if FORM.search(cell.source) else {"jupyter": {"source_hidden": True}}
    return {"cellView": "form", "id": cell.id} | hidden


def build(source: Path) -> nbformat.NotebookNode:
    """The notebook of a source, without outputs."""
    text = filled(source.read_text(encoding="utf-8")).replace("[badge]", badge(source.stem))
    text = text.replace("[setup]", (SOURCES / "setup.md").read_text(encoding="utf-8").strip())
    notebook = jupytext.reads(text, fmt="md")
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        title = re.match(r"# @title (\w+)", cell.source)
        cell.id = f"{number:02}-{title[1].lower()}" if title else f"{number:02}-text"
        cell.metadata = nbformat.from_dict(seen_as(cell) if cell.cell_type == "code" else {})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    return notebook


def text_of(notebook: nbformat.NotebookNode) -> str:
    """What is written to the .ipynb."""
    return nbformat.writes(notebook, indent=1) + "\n"


if __name__ == "__main__":
    for source in sorted(SOURCES.glob("0*.md")):
        (HERE / f"{source.stem}.ipynb").write_text(text_of(build(source)), encoding="utf-8")
