"""infra/setup/prepare, with stand-ins for the machine: what it checks, what it says, and what it makes when."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A Python that makes "environments" of stand-ins, and a uv that records how it was called.
PYTHON = """#!/bin/sh
case "$*" in
*ensurepip*) exit ${PYTHON_EXIT:-0} ;;
*sys.executable*) echo "$0" ;;
*'-m venv'*)
    [ -z "${VENV_FAILS:-}" ] || exit 1
    mkdir -p .uv/bin && cp "$0" .uv/bin/python && cp "$(dirname "$0")/uv" .uv/bin/uv ;;
*'-m pip'*) echo "pip" >> "$CALLS"; exit ${PIP_EXIT:-0} ;;
esac
"""
UV = """#!/bin/sh
case "$1" in --version) echo uv; exit ;; esac
echo "uv $1 $2" >> "$CALLS"
case "$*" in
venv*) mkdir -p .venv/bin; printf '#!/bin/sh\\nexit 0\\n' > .venv/bin/python; chmod +x .venv/bin/python ;;
*sync*) exit ${SYNC_EXIT:-0} ;;
esac
"""
DPKG_QUERY = """#!/bin/sh
for package in $(cat "$INSTALLED"); do echo "ii $package"; done
"""
APT_GET = """#!/bin/sh
echo "apt-get $*" >> "$CALLS"
[ "$1" = update ] && { touch "$INSTALLED.updated"; exit 0; }
[ -z "${APT_NEEDS_UPDATE:-}" ] || [ -e "$INSTALLED.updated" ] || exit 100
[ -z "${APT_FAILS:-}" ] || exit 100
echo "iptables" >> "$INSTALLED"
"""


class Checkout:
    """A small checkout, a PATH of stand-ins before the real one, and the outcome of the last call."""

    def __init__(self, folder: Path) -> None:
        self.root, self.programs = folder / "checkout", folder / "programs"
        self.calls_file, self.installed, self.release = folder / "calls", folder / "installed", folder / "os-release"
        (self.root / "infra/setup").mkdir(parents=True)
        (self.root / "infra/lab").mkdir()
        for name in ("fixtures", "reports/out", "suites"):
            (self.root / name).mkdir(parents=True)
        (self.root / "infra/setup/prepare").write_bytes((ROOT / "infra/setup/prepare").read_bytes())
        (self.root / "infra/setup/uv.lock.txt").write_text("uv==1.2.3 \\\n    --hash=sha256:0\n")
        (self.root / "infra/lab/packages.txt").write_text("[environment]\npython3\n[install]\nmake # why\niptables\n")
        (self.root / "requirements.lock").write_text("one==1 \\\n    --hash=sha256:0\ntwo==2 \\\n    --hash=sha256:0\n")
        (self.root / "pyproject.toml").write_text("[project]\n")
        self.programs.mkdir()
        self.installed.write_text("make iptables")
        self.release.write_text('ID=debian\nVERSION_ID="12"\n')
        self.program("uname", "#!/bin/sh\necho ${UNAME:-Linux}\n")
        self.program("id", "#!/bin/sh\necho ${UID_IS:-0}\n")
        self.program("df", "#!/bin/sh\nprintf 'Filesystem\\nx 1 1 %s 1 /\\n' ${FREE_KIB:-99999999}\n")
        self.program("dpkg-query", DPKG_QUERY)
        self.program("apt-get", APT_GET)
        for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
            self.program(name, PYTHON)
        self.program("uv", UV)
        self.environment = {
            "PATH": f"{self.programs}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "HOME": str(folder),
            "CALLS": str(self.calls_file),
            "INSTALLED": str(self.installed),
            "KIP_OS_RELEASE": str(self.release),
        }

    def program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def prepare(self, mode: str, **environment: str) -> tuple[int, list[str]]:
        """The exit code and the lines that were said; `calls` is cleared first."""
        self.calls_file.write_text("")
        done = subprocess.run(
            ["sh", str(self.root / "infra/setup/prepare"), mode],
            check=False,
            env={**self.environment, **environment},
            cwd="/",
            capture_output=True,
            text=True,
        )
        assert done.stdout == ""
        return done.returncode, done.stderr.splitlines()

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_first_call_names_what_it_makes_and_the_second_does_nothing(checkout: Checkout) -> None:
    assert checkout.prepare("lab") == (
        0,
        [
            "Creating the bootstrap environment .uv from infra/setup/uv.lock.txt (uv==1.2.3)",
            "Creating the Python environment .venv from requirements.lock (2 packages)",
            "Installing this project into .venv (editable)",
        ],
    )
    assert checkout.calls == ["pip", "uv venv --quiet", "uv pip sync", "uv pip install"]
    assert checkout.prepare("lab") == (0, [])
    assert checkout.prepare("env") == (0, [])
    assert checkout.calls == []


@pytest.mark.parametrize(
    ("mode", "environment", "line"),
    [
        ("env", {"UNAME": "Darwin"}, "set-up: this needs Linux, and this is Darwin: use a Debian 12"),
        ("lab", {"UID_IS": "1000"}, "set-up: the lab needs root"),
        ("lab", {"FREE_KIB": "2097152"}, "set-up: not enough disk space for the lab's programs: 2048 MiB free at "),
        ("env", {"UID_IS": "1000", "PYTHON_EXIT": "1"}, "set-up: no Python 3.11 or newer with venv and ensurepip on"),
        ("env", {"PIP_EXIT": "1"}, "set-up: pip could not install uv: "),
        ("env", {"VENV_FAILS": "1"}, "set-up: "),
        ("env", {"SYNC_EXIT": "1"}, "set-up: uv could not install requirements.lock: "),
    ],
)
def test_what_is_missing_is_one_line_and_exit_code_10(
    checkout: Checkout, mode: str, environment: dict[str, str], line: str
) -> None:
    if "PYTHON_EXIT" in environment and Path("/usr/bin/python3").exists():
        script = checkout.root / "infra/setup/prepare"
        script.write_text(script.read_text().replace(" /usr/bin/python3;", ";"))
    code, lines = checkout.prepare(mode, **environment)
    assert code == 10
    assert lines[-1].startswith(line)
    assert sum(text.startswith("set-up: ") for text in lines) == 1


def test_another_system_is_untested_and_may_be_tried(checkout: Checkout) -> None:
    checkout.release.write_text("ID=ubuntu\nVERSION_ID=24.04\n")
    code, lines = checkout.prepare("lab")
    assert (code, len(lines)) == (10, 1)
    assert lines[0].startswith("set-up: untested: this is ubuntu 24.04, the lab is tested on Debian 12 only;")
    assert checkout.prepare("lab", KIP_UNTESTED_SYSTEM="1")[0] == 0
    assert checkout.prepare("env")[0] == 0


def test_missing_packages_are_named_before_they_are_installed(checkout: Checkout) -> None:
    checkout.installed.write_text("make\n")
    code, lines = checkout.prepare("lab")
    assert (code, lines[0]) == (0, "Installing Debian packages: iptables ")
    assert [call.split()[:2] for call in checkout.calls if "apt-get" in call] == [["apt-get", "install"]]
    assert checkout.calls[0].endswith(" iptables")


def test_the_package_lists_are_fetched_only_when_the_install_fails(checkout: Checkout) -> None:
    checkout.installed.write_text("make\n")
    code, lines = checkout.prepare("lab", APT_NEEDS_UPDATE="1")
    assert code == 0
    assert lines[1] == "apt-get could not install them as its lists are; running apt-get update"
    assert [call.split()[1] for call in checkout.calls if "apt-get" in call] == ["install", "update", "install"]


def test_an_install_that_fails_twice_is_one_line(checkout: Checkout) -> None:
    checkout.installed.write_text("make\n")
    code, lines = checkout.prepare("lab", APT_FAILS="1")
    assert code == 10
    assert lines[-1].startswith("set-up: apt-get could not install iptables")


def test_the_environment_alone_installs_no_packages(checkout: Checkout) -> None:
    checkout.installed.write_text("")
    assert checkout.prepare("env", UID_IS="1000")[0] == 0
    assert not any("apt-get" in call for call in checkout.calls)


def _half_made(checkout: Checkout) -> None:
    (checkout.root / ".venv/kip-environment").unlink()


def _broken(checkout: Checkout) -> None:
    (checkout.root / ".venv/bin/python").write_text("#!/no/such/python\n")


def _relocked(checkout: Checkout) -> None:
    (checkout.root / "requirements.lock").write_text("one==2 --hash=sha256:0\n")


@pytest.mark.parametrize("spoil", [_half_made, _broken, _relocked])
def test_an_environment_that_is_not_right_is_made_again(checkout: Checkout, spoil: object) -> None:
    checkout.prepare("env")
    assert callable(spoil)
    spoil(checkout)
    assert checkout.prepare("env")[0] == 0
    assert checkout.calls == ["uv venv --quiet", "uv pip sync", "uv pip install"]


def test_a_checkout_that_was_moved_gets_environments_of_its_own(checkout: Checkout) -> None:
    checkout.prepare("env")
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    assert checkout.prepare("env")[0] == 0
    assert checkout.calls == ["pip", "uv venv --quiet", "uv pip sync", "uv pip install"]


@pytest.mark.parametrize(
    ("name", "noticed"), [("infra/new.py", True), ("suites/new.yaml", True), ("reports/out/r", False)]
)
def test_a_new_file_is_installed_and_a_result_is_not(checkout: Checkout, name: str, noticed: bool) -> None:
    checkout.prepare("env")
    (checkout.root / name).write_text("")
    assert checkout.prepare("env") == (0, ["Installing this project into .venv (editable)"] if noticed else [])


def test_an_unknown_mode_is_a_usage_error(checkout: Checkout) -> None:
    assert checkout.prepare("all") == (4, ["usage: infra/setup/prepare env | lab"])


@pytest.mark.parametrize("name", ["requirements.lock", "infra/setup/uv.lock.txt"])
def test_lock_files_have_hashes_and_no_host(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-(i|-index-url|-extra-index-url|-find-links)\b", text, re.MULTILINE)
    pins = re.findall(
        r"^([a-z0-9][a-z0-9.-]*)==(\S+).*\\\n((?:\s+--hash=sha256:[0-9a-f]{64}.*\n?)+)", text, re.MULTILINE
    )
    assert len(pins) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 0


def test_the_lock_has_every_dependency_of_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    wanted = {name.lower() for name in re.findall(r'"([A-Za-z][A-Za-z0-9-]*)>=', project)}
    locked = set(re.findall(r"^([a-z0-9][a-z0-9.-]*)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert wanted - locked == set()


def test_make_help_names_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    documented = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    assert documented == set(re.findall(r"^\.PHONY: (\S+)", text, re.MULTILINE))
    assert {"help", "conformance", "test", "check", "faults", "bench", "clean", "lock", "env"} <= documented
