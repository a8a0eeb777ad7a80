"""Files by content: what travels between machines is known by its SHA-256, and is compared with it
wherever it arrives.

A :class:`Tree` says which contents a folder consists of. The head keeps a :class:`ContentStore`;
a worker lays trees out as files (:class:`InPlace` where it shares the head's disk,
:class:`NodeShelf` where it does not).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bgdefect_core.errors import DataError
from bgdefect_core.files import write_file
from bgdefect_core.paths import system_errors
from bgdefect_core.records.run_record import file_digest

__all__ = [
    "ContentStore",
    "Corrupted",
    "InPlace",
    "NodeShelf",
    "Shelf",
    "Tree",
    "digest_of",
    "tree_of",
]


class Corrupted(DataError):
    """Bytes that are not what their name says."""


def digest_of(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Tree:
    """A folder by the contents of its files."""

    root: str
    """Its absolute path at the head."""
    files: Mapping[str, str]
    """Path relative to the root, with forward slashes -> SHA-256."""

    def as_bytes(self) -> bytes:
        """As JSON; equal trees give equal bytes."""
        return json.dumps({"root": self.root, "files": dict(sorted(self.files.items()))}).encode()

    @property
    def content(self) -> str:
        """Digest of its names and files, wherever it lies."""
        text = json.dumps(dict(sorted(self.files.items())))
        return digest_of(text.encode())

    @staticmethod
    def of(root: Path, names: Iterable[str]) -> Tree:
        """The tree of some files by their paths relative to a folder.

        Raises:
            DataError: a file that cannot be read.
        """
        digests: dict[str, str] = {}
        for name in names:
            digests[name] = file_digest(root / name, DataError, "a file of the campaign")
        return Tree(str(root), digests)

    @staticmethod
    def from_bytes(content: bytes) -> Tree:
        """From :meth:`as_bytes`."""
        entry = json.loads(content)
        return Tree(entry["root"], entry["files"])


def tree_of(root: Path, files: Iterable[Path]) -> tuple[Tree, str]:
    """The tree of a file or folder.

    Args:
        root: the file or the folder.
        files: what belongs to it, below the root or elsewhere; links keep their names.

    Returns:
        The tree, whose root is the lowest folder that holds all, and the path of ``root`` in it.

    Raises:
        DataError: a file that cannot be read.
    """
    wanted = Path(os.path.abspath(root))
    paths = sorted({Path(os.path.abspath(file)) for file in files})
    top = wanted if wanted.is_dir() else wanted.parent
    place = Path(os.path.commonpath([top, *paths]))
    names = [path.relative_to(place).as_posix() for path in paths]
    return Tree.of(place, names), wanted.relative_to(place).as_posix()


class ContentStore:
    """What the head has by content: files where they lie, and packed values in a folder.

    Args:
        folder: for packed values.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, Path] = {}
        self._trees: dict[str, Tree] = {}

    def add(self, content: bytes) -> str:
        """Keep packed bytes; returns their digest.

        Raises:
            OutputError: the disk is full.
        """
        digest = digest_of(content)
        path = self._folder / digest
        if not path.exists():
            write_file(path, content)
        self._places[digest] = path
        return digest

    def add_tree(self, tree: Tree) -> str:
        """Know a tree and its files; returns its digest."""
        for name, digest in tree.files.items():
            self._places.setdefault(digest, Path(tree.root) / name)
        digest = self.add(tree.as_bytes())
        self._trees[digest] = tree
        return digest

    def tree(self, digest: str) -> Tree:
        """A tree that was added."""
        return self._trees[digest]

    def contents(self, digests: Iterable[str]) -> list[str]:
        """These digests, and those of the files of the trees among them."""
        wanted: dict[str, None] = {}
        for digest in digests:
            wanted[digest] = None
            if digest in self._trees:
                wanted.update(dict.fromkeys(self._trees[digest].files.values()))
        return list(wanted)

    @system_errors(DataError, "a file that can be read")
    def read(self, digest: str) -> bytes:
        """The bytes of a digest.

        Raises:
            Corrupted: the file has changed since.
        """
        path = self._places[digest]
        return checked(path.read_bytes(), digest, str(path))

    def drop(self, digest: str) -> None:
        """Forget packed bytes, and delete them."""
        path = self._places.pop(digest, None)
        if path is not None and path.parent == self._folder:
            path.unlink(missing_ok=True)


def checked(content: bytes, digest: str, name: str) -> bytes:
    """The content, if it is what its digest says.

    Raises:
        Corrupted: it is not.
    """
    if digest_of(content) != digest:
        raise Corrupted(f"{name} has other bytes than its SHA-256 {digest[:16]}... says")
    return content


class Shelf(Protocol):
    """Where a worker finds contents."""

    def read(self, digest: str) -> bytes:
        """The bytes of a digest."""

    def lay_out(self, digest: str) -> Path:
        """A tree as a folder that can be read; not to be written to."""

    def original(self, value: Any) -> Any:
        """Plain JSON with the paths that the head knows, in place of those that were laid out."""


@dataclass(frozen=True)
class InPlace:
    """The head's own disk: nothing is copied."""

    store: ContentStore

    def read(self, digest: str) -> bytes:
        """As :meth:`Shelf.read`."""
        return self.store.read(digest)

    def lay_out(self, digest: str) -> Path:
        """As :meth:`Shelf.lay_out`."""
        return Path(self.store.tree(digest).root)

    def original(self, value: Any) -> Any:
        """As :meth:`Shelf.original`."""
        return value


class NodeShelf:
    """A folder of a node that all its workers share.

    Args:
        folder: made where it is missing.
        fetch: the bytes of a digest from the head.
    """

    def __init__(self, folder: Path, fetch: Callable[[str], bytes]) -> None:
        self._folder, self._fetch = folder, fetch
        self._originals: dict[str, str] = {}

    def read(self, digest: str) -> bytes:
        """As :meth:`Shelf.read`.

        Raises:
            Corrupted: what arrived has other bytes.
        """
        return self._file(digest).read_bytes()

    def lay_out(self, digest: str) -> Path:
        """As :meth:`Shelf.lay_out`.

        Raises:
            Corrupted: what arrived has other bytes.
        """
        tree = Tree.from_bytes(self.read(digest))
        name = Path(tree.root).name or "root"
        place = self._folder / "trees" / digest / name
        self._originals[str(place)] = tree.root
        if place.parent.is_dir():
            return place
        new = self._folder / "trees" / f".{digest}.{uuid.uuid4().hex}"
        (new / name).mkdir(parents=True)
        for relative, content in tree.files.items():
            target = new / name / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(self._file(content), target)
        try:
            new.rename(place.parent)
        except OSError:  # another worker of this node was first
            if not place.parent.is_dir():
                raise
            shutil.rmtree(new, ignore_errors=True)
        return place

    def original(self, value: Any) -> Any:
        """As :meth:`Shelf.original`."""
        if isinstance(value, str):
            for place, root in self._originals.items():
                value = value.replace(place, root)
            return value
        if isinstance(value, Mapping):
            return {self.original(key): self.original(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.original(item) for item in value]
        return value

    def _file(self, digest: str) -> Path:
        path = self._folder / "contents" / digest
        if not path.is_file():
            content = checked(self._fetch(digest), digest, "what arrived")
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{digest}.{uuid.uuid4().hex}")
            new.write_bytes(content)
            new.rename(path)
        return path


def _link(source: Path, target: Path) -> None:
    """A second name of a file, or a copy where the disk has no such names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
