"""The short form of the soak test, which `make soak` runs in full."""

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).with_name("soak.py")
PARTS = ("kills", "races", "disks", "places", "flips", "folders", "settings", "hostile")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_a_short_soak_finds_no_fault(tmp_path: Path) -> None:
    log = tmp_path / "soak.jsonl"
    command = [sys.executable, str(SOAK), "--quick", "--parts", *PARTS, "--log", str(log)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0
    assert again.stdout == done.stdout, "trials in the log are not repeated"
