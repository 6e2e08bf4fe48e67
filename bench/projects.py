"""Real projects, fetched by their registries' ordinary clients when the benchmark runs."""

import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import world


@dataclass(frozen=True)
class Project:
    """A project and where it is from."""

    language: str
    name: str
    origin: str
    fetch: object


def fetched(project, root):
    """Lays a fresh copy of the project's sources at `root`; its own tests are left out."""
    kept = world.CACHE / "projects" / project.language
    if not kept.exists():
        with world.scratch() as place:
            sources = project.fetch(Path(place))
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(sources, kept)
    shutil.copytree(kept, root)


def run(*command, cwd):
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def unpacked(place, pattern):
    [archive] = place.glob(pattern)
    with tarfile.open(archive) as tar:
        tar.extractall(place / "unpacked", filter="data")
    [top] = (place / "unpacked").iterdir()
    return top


def without(root, *patterns):
    for pattern in patterns:
        for path in root.rglob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return root


def go(place):
    run("apt-get", "download", "golang-github-asaskevich-govalidator-dev", cwd=place)
    [package] = place.glob("*.deb")
    run("dpkg", "-x", package, "unpacked", cwd=place)
    module = "github.com/asaskevich/govalidator"
    root = place / "unpacked" / "usr" / "share" / "gocode" / "src" / module
    (root / "go.mod").write_text(f"module {module}\n\ngo 1.19\n")
    return without(root, "*_test.go")


def python(place):
    pip = [sys.executable, "-m", "pip", "download", "--no-deps"]
    run(*pip, "--no-binary", ":all:", "boltons==25.0.0", cwd=place)
    # The simulator names the tests of two members of strutils alike, so that one is never usable.
    left_out = ["tests", "docs", "misc", "*.egg-info", "strutils.py"]
    return without(unpacked(place, "boltons-*.tar.gz"), *left_out)


def javascript(place):
    run("npm", "pack", "lib0@0.2.114", cwd=place)
    # `testing.js` has functions with the names that tests import from their runner.
    left_out = ["*.d.ts", "*.map", "*.test.js", "dist", "coverage", "bin", "test.*", "testing.js"]
    return without(unpacked(place, "lib0-*.tgz"), *left_out)


PROJECTS = [
    Project("go", "govalidator", "Debian's golang-github-asaskevich-govalidator-dev", go),
    Project("python", "boltons", "PyPI's sdist of boltons 25.0.0", python),
    Project("javascript", "lib0", "npm's lib0 0.2.114", javascript),
]
