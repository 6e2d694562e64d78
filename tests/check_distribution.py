"""Checks sdist and wheel: what must be inside is inside, and nothing else. Run by `make build`."""

import sys
import tarfile
import zipfile
from pathlib import Path

folder = Path(sys.argv[1])
(wheel,) = folder.glob("*.whl")
(sdist,) = folder.glob("*.tar.gz")
with zipfile.ZipFile(wheel) as archive:
    names = set(archive.namelist())
with tarfile.open(sdist) as archive:
    inside = {name.partition("/")[2] for name in archive.getnames()}
package = Path("src/equipoise")
kinds = (".py", ".html", ".css", ".js", ".toml", ".md")
expected = {str(path.relative_to("src")) for path in package.rglob("*") if path.suffix in kinds}
expected |= {f"equipoise_toys/{path.name}" for path in Path("examples/toys/equipoise_toys").glob("*.py")}
expected |= {str(path.relative_to("src")) for path in (package / "export" / "models").glob("*/*")}
expected.add("equipoise/py.typed")
missing = expected - names
extra = {name for name in names if not name.startswith("equipoise-")} - expected
missing |= {name for name in ("LICENSE", "README.md", "pyproject.toml", "src/equipoise/py.typed") if name not in inside}
if missing or extra:
    sys.exit(f"missing: {sorted(missing)}; not expected: {sorted(extra)}")
print(f"{wheel.name} and {sdist.name} hold the {len(expected)} files of the package, the licence and py.typed")
