"""Runs one file of unittest tests and tells testsmith, one JSON object a line, as it happens."""

import importlib.util
import json
import os
import sys
import traceback
import unittest

_PLACE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "report.jsonl")


def _tell(**event):
    with open(_PLACE, "a", encoding="utf-8") as out:
        out.write(json.dumps(event) + "\n")


def _name(test):
    # A subtest counts for the test it is in.
    test = getattr(test, "test_case", test)
    return type(test).__name__ + "." + getattr(test, "_testMethodName", "")


class _Result(unittest.TestResult):
    def _end(self, test, outcome, error=None):
        text = self._exc_info_to_string(error, getattr(test, "test_case", test)) if error else ""
        assertion = bool(error) and issubclass(error[0], AssertionError)
        _tell(event="end", id=_name(test), outcome=outcome, text=text[-6000:], assertion=assertion)

    def startTest(self, test):
        super().startTest(test)
        _tell(event="start", id=_name(test))

    def addSuccess(self, test):
        self._end(test, "passed")

    def addExpectedFailure(self, test, err):
        self._end(test, "passed")

    def addUnexpectedSuccess(self, test):
        self._end(test, "failed")

    def addSkip(self, test, reason):
        self._end(test, "skipped")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._end(test, "failed", err)

    def addError(self, test, err):
        super().addError(test, err)
        self._end(test, "failed", err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._end(test, "failed", err)


def _main(path, names):
    sys.path.insert(0, os.getcwd())
    loader = unittest.TestLoader()
    try:
        spec = importlib.util.spec_from_file_location(
            os.path.splitext(os.path.basename(path))[0], path
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        if names:
            suite = loader.loadTestsFromNames(names, module)
        else:
            suite = loader.loadTestsFromModule(module)
    except BaseException:
        _tell(event="collect", id=path, text=traceback.format_exc()[-6000:])
        return 2
    result = _Result()
    suite.run(result)
    return 0 if result.wasSuccessful() else 1


sys.exit(_main(sys.argv[1], sys.argv[2:]))
