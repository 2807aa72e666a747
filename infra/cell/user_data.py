"""The user data of a cell's instance: a script that fetches the agent, checks it, and keeps it running.

The provider renders it; nothing of this file is on the cell. What the script says is on the instance's console: which
URL could not be fetched and from which address and subnet, and which digest was found instead of which.
"""

from __future__ import annotations

from kip_conformance.infra.cell.settings import CellSettings
from kip_conformance.infra.errors import UsageError

__all__ = ["LIMIT", "CellSettings", "render"]

LIMIT = 16 << 10
"""Bytes of user data before encoding (Amazon EC2 API Reference, RunInstances)."""

_SCRIPT = """\
#!/bin/sh
# A Kip cell: fetch the agent, check it, keep it running.
umask 077
mkdir -p /var/lib/cell /run/cell
cat > /var/lib/cell/settings.json <<'SETTINGS'
@settings@
SETTINGS
cd /var/lib/cell
/usr/bin/python3 -I - <<'FETCH' || exit 1
@fetch@FETCH
# In the background: the boot goes on, and what this writes stays on the console.
setsid sh -c 'while :; do
  /usr/bin/python3 -I -S -B /var/lib/cell/itzo --settings /var/lib/cell/settings.json
  code=$?
  [ $code = 2 ] && exit 2
  echo "cell: the keeper ended with exit code $code; it starts again"
  sleep 1
done' </dev/null &
"""

_FETCH = """\
import hashlib, json, os, ssl, subprocess, sys, time, urllib.request
told = json.load(open("settings.json"))
url = told["url"].rstrip("/") + "/itzo-" + told["version"]
def here():
    try:
        shown = subprocess.run(["ip", "-o", "-4", "addr", "show", "scope", "global"], capture_output=True, text=True)
        return shown.stdout.split(" inet ")[1].split()[0]
    except (OSError, IndexError):
        return "an unknown address"
def say(line):
    print("cell: " + line, flush=True)
trust = None
if url.startswith("https:"):
    trust = ssl.create_default_context()
    if told.get("registry_ca"):
        trust.load_verify_locations(cadata=told["registry_ca"])
pause, until = 0.5, time.monotonic() + @patience@
while True:
    try:
        with urllib.request.urlopen(url, timeout=5, context=trust) as answer:
            data = answer.read()
        break
    except (OSError, ValueError) as error:
        why = str(getattr(error, "reason", error)) or type(error).__name__
        if time.monotonic() > until:
            say(f"{url} could not be fetched from {here()}: {why}; given up")
            sys.exit(1)
        say(f"{url} could not be fetched from {here()}: {why}; trying again in {pause:g} s")
        time.sleep(pause)
        pause = min(pause * 2, 15)
found = hashlib.sha256(data).hexdigest()
if found != told["sha256"]:
    say(f"{url} is refused: its sha256 is {found}, not {told['sha256']}")
    sys.exit(1)
with open("itzo.new", "wb") as file:
    file.write(data)
os.replace("itzo.new", "itzo")
"""

_PATIENCE = 1200
"""Seconds for which the launcher tries to fetch the agent: Kip's own boot timeout is 20 minutes."""


def render(settings: CellSettings) -> str:
    """The script for one instance. Raises UsageError when it is larger than user data may be."""
    fetch = _FETCH.replace("@patience@", str(_PATIENCE))
    script = _SCRIPT.replace("@fetch@", fetch).replace("@settings@", settings.to_json())
    size = len(script.encode())
    if size > LIMIT:
        raise UsageError(
            f"user data of a cell: {size} bytes, and an instance takes {LIMIT}; use shorter certificates or fewer CIDRs"
        )
    return script
