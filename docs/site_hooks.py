"""For mkdocs.yml: the pages that stand beside docs/, and links as they are on GitHub, to the site's own places."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}

_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the repository's root, and the files that a page of docs/ links to outside docs/."""
    for source, target in PAGES.items():
        files.append(File.generated(config, target, content=(ROOT / source).read_text("utf-8")))
    linked = {link for page in ROOT.glob("docs/*.md") for link in _LINK.findall(page.read_text("utf-8"))}
    for link in sorted(link.removeprefix("../") for link in linked if link.startswith("../")):
        if link not in PAGES:
            files.append(File.generated(config, link, abs_src_path=str(ROOT / link)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn each link into the one between pages of the site: all of them, and what they link to, lie in one folder.

    A | of code in a table is escaped for GitHub, where MkDocs would show the backslash.
    """
    markdown = _CODE.sub(lambda found: found[0].replace(r"\|", "|"), markdown)
    return _LINK.sub(lambda found: _on_site(found[0]), markdown)


def _on_site(link: str) -> str:
    path = link.removeprefix("../").removeprefix("docs/")
    return PAGES.get(path, path)
