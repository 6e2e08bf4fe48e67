# Tests kept by testsmith. Blocks you edit or delete are yours.
import sys
from pathlib import Path

if (_ROOT := str(Path(__file__).resolve().parents[2])) not in sys.path:
    sys.path.append(_ROOT)

from crates.lang.src.python.runner.pytest_report import (
    pytest_collectreport,
    pytest_runtest_logreport,
    pytest_runtest_logstart,
)


# testsmith:begin pytest_collectreport key=3c7e67a6 sum=cfa7c39d
def test_pytest_collectreport():
    assert callable(pytest_collectreport)


# testsmith:end pytest_collectreport


# testsmith:begin pytest_runtest_logstart key=50fbbffc sum=5e143263
def test_pytest_runtest_logstart():
    assert callable(pytest_runtest_logstart)


# testsmith:end pytest_runtest_logstart


# testsmith:begin pytest_runtest_logreport key=6a4d6466 sum=579aab6a
def test_pytest_runtest_logreport():
    assert callable(pytest_runtest_logreport)


# testsmith:end pytest_runtest_logreport
