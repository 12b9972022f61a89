"""Every test is run on several workers, too, and by one worker what belongs together."""

import pytest

from tests.lanes import lane

# Tests that pytest knows by one id, as Schemathesis makes them: their names tell more than it.
ALIKE = """
import pytest

def pytest_pycollect_makeitem(collector, name, obj):
    if name == "test_case":
        return [
            pytest.Function.from_parent(collector, name=name, originalname="test_case", callobj=obj)
            for name in {names}
        ]
"""
ALONE = ("--disable-plugin-autoload", "-p", "tests.lanes")


def alike(pytester: pytest.Pytester, *names: str) -> None:
    """A file in each of two folders that one worker takes whole, with tests of these names and of one id."""
    pytester.makeconftest(ALIKE.format(names=names))
    for file in ("tests/bad_days/test_a.py", "tests/stories/test_b.py"):
        (pytester.path / file).parent.mkdir(parents=True)
        (pytester.path / file).write_text("def test_case(): pass\n")


def test_on_two_workers_tests_of_one_id_are_all_run_and_folders_stay_whole(pytester: pytest.Pytester) -> None:
    alike(pytester, "test_case[GET /here]", "test_case[PUT /here]", "test_case[PUT /there]")

    done = pytester.runpytest_subprocess("-v", *ALONE, "-p", "xdist", "-n2")

    done.assert_outcomes(passed=6)
    done.stdout.fnmatch_lines_random(["*test_b.py::test_case[[]PUT /here]*"])
    assert len({line.partition("]")[0] for line in done.outlines if line.startswith("[gw")}) == 1


def test_tests_that_cannot_be_told_apart_are_refused(pytester: pytest.Pytester) -> None:
    alike(pytester, "test_case", "test_case")

    done = pytester.runpytest_inprocess(*ALONE)

    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*only one would be run: tests/bad_days/test_a.py::test_case*"])


def test_a_worker_takes_files_whole_and_some_folders() -> None:
    assert lane("tests/rules/test_a.py::test_it") == lane("tests/rules/test_a.py::test_it[x::y]")
    assert lane("tests/rules/test_a.py::test_it") != lane("tests/rules/test_b.py::test_it")
    assert lane("tests/bad_days/test_a.py::test_it") == lane("tests/stories/test_b.py::test_it")
    assert lane("tests/api/test_a.py::test_it") != lane("tests/client/test_a.py::test_it")
