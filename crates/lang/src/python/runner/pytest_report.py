"""Tells testsmith what pytest does, one JSON object a line, as it happens."""

import json
import os

_PLACE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "report.jsonl")


def _tell(**event):
    with open(_PLACE, "a", encoding="utf-8") as out:
        out.write(json.dumps(event) + "\n")


def _words(report):
    return str(getattr(report, "longreprtext", "") or report.longrepr or "")[-6000:]


def pytest_collectreport(report):
    if report.failed:
        _tell(event="collect", id=report.nodeid, text=_words(report))


def pytest_runtest_logstart(nodeid, location):
    _tell(event="start", id=nodeid)


def pytest_runtest_logreport(report):
    if report.when == "call" or not report.passed:
        crash = getattr(report.longrepr, "reprcrash", None)
        kind = str(getattr(crash, "message", ""))
        _tell(
            event="end",
            id=report.nodeid,
            outcome=report.outcome,
            when=report.when,
            text="" if report.passed else _words(report),
            assertion=kind.startswith(("AssertionError", "assert ", "Failed:")),
        )
