"""The demo's config repository: a working copy whose documents are pushed as a person would push them."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from dulwich import porcelain

__all__ = ["Config"]

WHO = b"pointsman demo <demo@localhost>"


class Config:
    """A clone of the local cloud's config repository at `folder`, pushed to `url`."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        porcelain.init(str(folder)).close()

    def push(self, files: Mapping[str, str], message: str) -> str:
        """Write the files, commit all of them and push to `main`; gives the commit."""
        for name, text in files.items():
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        porcelain.add(str(self._folder), [str(self._folder / name) for name in files])
        commit = porcelain.commit(str(self._folder), message=message.encode(), author=WHO, committer=WHO)
        porcelain.push(str(self._folder), self._url, b"HEAD:refs/heads/main", outstream=BytesIO(), errstream=BytesIO())
        return commit.decode()
