"""In a project that is none of ours the plugin costs little and does nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIMIT = 0.010


def test_importing_the_plugin_costs_at_most_ten_milliseconds():
    """Processor time, in a process that has pytest already, the best of some: the machine may be busy."""
    code = (
        "import pytest, time; t = time.process_time(); import kip_conformance.fixtures.plugin;"
        " print(time.process_time() - t)"
    )
    took = []
    for _ in range(5):
        took.append(float(subprocess.check_output([sys.executable, "-c", code])))
        if took[-1] <= LIMIT:
            return
    pytest.fail(f"importing took {min(took) * 1000:.1f} ms at best")


def test_importing_the_plugin_imports_nothing_heavy():
    code = (
        "import pytest, sys; before = set(sys.modules); import kip_conformance.fixtures.plugin;"
        " print(*set(sys.modules) - before)"
    )
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    ours = sorted(name for name in loaded if name.startswith("kip_conformance."))
    assert ours == ["kip_conformance.fixtures", "kip_conformance.fixtures.options", "kip_conformance.fixtures.plugin"]
    assert not {"yaml", "kubernetes", "rich", "tenacity", "websockets", "jsonschema"} & set(loaded)


def test_a_foreign_project_sees_nothing_of_it(pytester):
    pytester.makepyfile(
        """
        import sys
        def test_quiet(request):
            assert not [name for name in sys.modules if name.startswith("kip_conformance.infra")]
            assert request.config.option.importmode == "prepend"
            assert "probe" not in request.fixturenames
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    assert "kip-conformance:" not in result.stdout.str()
    assert list(pytester.path.glob("kip*")) == []


def test_a_foreign_mark_called_requirement_is_left_alone(pytester):
    pytester.makepyfile("import pytest\n@pytest.mark.requirement('X')\ndef test_row(): pass\n")
    pytester.makeini("[pytest]\nmarkers = requirement: theirs\n")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_no_second_copy_of_the_code_is_imported(world):
    world.suite(
        """
import sys
@pytest.mark.requirement("P2P-01")
def test_row():
    assert not {"infra", "fixtures", "reports"} & set(sys.modules)
    from kip_conformance.infra.errors import HarnessError
    raise HarnessError("the same class")
"""
    )
    assert world.run(own_process=True).ret == 10
