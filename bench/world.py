"""The programs of the comparison as processes, and what is measured of them from outside."""

import http.client
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("BENCH_CACHE", REPOSITORY / "bench" / "cache"))
PATIENCE = 60
PERMITS = 5


def target():
    """Cargo's folder for the release build."""
    return Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release"


def program():
    """The program that is measured."""
    return Path(os.environ.get("BENCH_TESTSMITH", target() / "testsmith"))


def example(name):
    """One of our own programs of the comparison."""
    return Path(os.environ.get("BENCH_EXAMPLES", target() / "examples")) / name


def peer_python(peer):
    """The Python that a peer is installed for, or `None`."""
    python = CACHE / f"venv-{peer}" / "bin" / "python"
    return python if python.exists() else None


def watchexec():
    """watchexec, or `None`."""
    own = CACHE / "cargo" / "bin" / "watchexec"
    found = own if own.exists() else shutil.which("watchexec")
    return Path(found) if found else None


def wait_until(what, condition, patience=PATIENCE, every=0.02):
    """Waits for a condition and gives back what it said."""
    deadline = time.monotonic() + patience
    while True:
        if said := condition():
            return said
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience} s for {what}")
        time.sleep(every)


class Process:
    """A child that is stopped and reaped in any case."""

    def __init__(self, command, **options):
        self.child = subprocess.Popen([str(part) for part in command], **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.child.pid

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.child.kill()
        self.child.wait()

    def memory(self):
        """What is resident, and the most that was, in KiB."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            lines = dict(line.split(":", 1) for line in status)
        return tuple(int(lines[name].split()[0]) for name in ("VmRSS", "VmHWM"))

    def inotify_watches(self):
        """How many watches the process holds."""
        count = 0
        for info in Path(f"/proc/{self.pid}/fdinfo").iterdir():
            try:
                count += info.read_text().count("inotify wd:")
            except FileNotFoundError:
                continue
        return count


class Simulator(Process):
    """A model server, whose log is the witness."""

    def __init__(self, latency="0ms", script=None):
        command = [program(), "simulate", "--latency", latency]
        if script:
            command += ["--script", script]
        super().__init__(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        lines = [self.child.stdout.readline() for _ in range(3)]
        self.base_url = lines[0].split()[1]
        self.address = self.base_url.removeprefix("http://").removesuffix("/v1")
        # Read on, so that the pipe never fills.
        threading.Thread(target=self.child.stdout.read, daemon=True).start()

    def _ask(self, method):
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        connection.request(method, "/log")
        answer = connection.getresponse().read()
        connection.close()
        return answer

    def log(self):
        """The requests so far."""
        return json.loads(self._ask("GET"))["requests"]

    def clear(self):
        """Forgets them."""
        self._ask("DELETE")


class Socket(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("testsmith", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def environment(home, base_url):
    """What the program is given: nothing of the user's own."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TESTSMITH_LLM__PROVIDER": "openai",
        "TESTSMITH_LLM__MODEL": "simulated",
        "TESTSMITH_LLM__BASE_URL": base_url,
        "TESTSMITH_VERIFY__MODE": "off",
    }


class Daemon(Process):
    """`testsmith watch`, from its start to its word that it watches."""

    def __init__(self, root, place, base_url, settings=()):
        place.mkdir(parents=True, exist_ok=True)
        self.state = place / "state"
        command = [program(), "watch", "--log-format", "json", "--state-dir", self.state]
        for setting in settings:
            command += ["--set", setting]
        began = time.perf_counter()
        super().__init__(
            command,
            cwd=root,
            env=environment(place, base_url),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._wait_for("watching")
        self.ready_after = time.perf_counter() - began

    def _read(self):
        for line in self.child.stderr:
            if '"watching"' in line:
                self.lines.put(line)
        self.lines.put(None)

    def _wait_for(self, message):
        if self.lines.get(timeout=PATIENCE) is None:
            self.stop()
            raise RuntimeError(f"the daemon ended before it said `{message}`")

    def ask(self, path):
        """Asks the control socket."""
        connection = Socket(self.state / "control.sock")
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer


def generate(root, place, base_url, settings=()):
    """One run of `testsmith generate --all`: what it cost."""
    place.mkdir(parents=True, exist_ok=True)
    command = [str(program()), "generate", "--all", "--state-dir", str(place / "state")]
    for setting in settings:
        command += ["--set", setting]
    with open(place / "output", "w+", encoding="utf-8") as output:
        began = time.perf_counter()
        child = subprocess.Popen(
            command,
            cwd=root,
            env=environment(place, base_url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"generate ended with {child.returncode}: {output.read()}")
    return {
        "wall_s": wall,
        "processor_s": used.ru_utime + used.ru_stime,
        "peak_kib": used.ru_maxrss,
        "again_s": [],
    }


def scratch():
    """A folder of its own, on the disk that the repository is on."""
    CACHE.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=CACHE, prefix="run-")


def in_turns(rounds, *contenders):
    """Runs the contenders in turns (A B A B), and tells of each: name and result."""
    results = {name: [] for name, _ in contenders}
    for _ in range(rounds):
        for name, run in contenders:
            results[name].append(run())
    return results
