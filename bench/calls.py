"""240 calls: our stack, the bound, a plain loop, LiteLLM's router and OpenAI's client."""

import json
import os
import subprocess
from functools import partial
from pathlib import Path

import figures
import world
from figures import shown
from world import PERMITS

FILES, FUNCTIONS = 40, 6
CALLS = FILES * FUNCTIONS
PEERS = Path(__file__).parent / "peers"

OURS = "ours: cache, retry, semaphore, provider"
UNCACHED = "ours without the cache"
WHOLE = "ours: the whole program, tests written"
PLAIN = "a plain loop in Rust, no retry, no cache"
LITELLM = "LiteLLM's router, retries, cache on disk"
OPENAI = "OpenAI's client, 5 threads, no cache"


def run(quick):
    """The section of the document."""
    rounds = 1 if quick else 5
    with world.scratch() as place:
        place = Path(place)
        project = write_project(place / "project")
        requests = collect_requests(project, place)
        slow, quick = (measure(at, rounds, project, requests, place) for at in (50, 0))
        parts = [
            preamble(rounds),
            calls_table(50, slow),
            calls_table(0, quick),
            cached_table(quick),
            figures.aims(aims(slow)),
        ]
        return "\n\n".join(parts)


def write_project(root):
    """A Go module of plain functions, each different."""
    # A repository of its own, or the rules of the one around it would ignore it.
    subprocess.run(["git", "init", "-q", root], check=True)
    (root / "go.mod").write_text("module example.com/shop\n\ngo 1.19\n")
    for file in range(FILES):
        functions = [
            f"// Part{file:02}Step{step} weighs a price against a discount.\n"
            f"func Part{file:02}Step{step}(price, discount int) int {{\n"
            f"\treturn price*{file + 2} - discount + {step * 7 + 1}\n}}\n"
            for step in range(FUNCTIONS)
        ]
        (root / f"part{file:02}.go").write_text("package shop\n\n" + "\n".join(functions))
    return root


def collect_requests(project, place):
    """What the program itself sends for this project, one member a call: all clients send that."""
    script = place / "log-bodies.toml"
    script.write_text("log_bodies = true\n")
    with world.Simulator(script=script) as simulator:
        world.generate(project, place / "collect", simulator.base_url, ["batch.enabled=false"])
        bodies = [request["body"] for request in simulator.log()]
    clean(project)
    if len(bodies) != CALLS:
        raise RuntimeError(f"{len(bodies)} requests instead of {CALLS}")
    file = place / "requests.jsonl"
    file.write_text("".join(json.dumps(body) + "\n" for body in bodies))
    return file


def clean(project):
    for test in project.glob("*_test.go"):
        test.unlink()


class Client:
    """One contender at one latency."""

    def __init__(self, simulator, requests, place):
        self.simulator, self.requests, self.place = simulator, requests, place
        self.number = 0

    def folder(self):
        self.number += 1
        folder = self.place / f"run{self.number}"
        folder.mkdir(parents=True)
        return folder

    def started(self, *command):
        """Runs a client of the comparison, and adds what the server saw."""
        folder = self.folder()
        order = [self.simulator.base_url, self.requests, PERMITS, folder]
        self.simulator.clear()
        done = subprocess.run(
            [str(part) for part in (*command, *order)],
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        result = json.loads(done.stdout.splitlines()[-1])
        return result | self.seen()

    def whole(self, project):
        """The program itself, from its start to its end."""
        self.simulator.clear()
        settings = ["batch.enabled=false", f"llm.max_concurrent_calls={PERMITS}"]
        result = world.generate(project, self.folder(), self.simulator.base_url, settings)
        clean(project)
        return result | self.seen()

    def seen(self):
        log = self.simulator.log()
        if len(log) != CALLS or any(request["status"] != 200 for request in log):
            raise RuntimeError(f"{len(log)} requests instead of {CALLS}, or some failed")
        most = max(request["open"] for request in log)
        if most > PERMITS:
            raise RuntimeError(f"{most} calls were open at once")
        times = [(request["arrived_ms"], request["ended_ms"]) for request in log]
        return {"gaps_ms": figures.gaps(times, PERMITS)}


def measure(latency, rounds, project, requests, place):
    with world.Simulator(latency=f"{latency}ms") as simulator:
        client = Client(simulator, requests, place / f"at{latency}")
        program = world.example("calls")
        contenders = [
            (OURS, lambda: client.started(program, "ours")),
            (UNCACHED, lambda: client.started(program, "uncached")),
            (PLAIN, lambda: client.started(program, "plain")),
            (WHOLE, lambda: client.whole(project)),
        ]
        peers = [(LITELLM, "litellm", "litellm_router.py"), (OPENAI, "openai", "openai_pool.py")]
        for name, peer, script in peers:
            if python := world.peer_python(peer):
                started = partial(client.started, python, PEERS / script)
                contenders.append((name, started))
        return world.in_turns(rounds, *contenders)


def preamble(rounds):
    return f"""\
{CALLS} calls, {PERMITS} at once, to the simulator, which runs beside the client on the same two cores. All
clients send the same requests: those that the program itself sends for a project of {FILES} files with
{FUNCTIONS} functions, one member a call. {rounds} rounds, the clients in turns; medians of the rounds, and the
idle times of all rounds together. *Ours* has the cache around it as in the daemon: each answer is
looked up before, and on disk with `fdatasync` after. LiteLLM's cache is written too; the plain loop and
OpenAI's client have none. *A slot is idle* from the end of an answer to the arrival of the next request,
by the server's clock: what a client adds to a call, and half of it is the machine's own loopback and
the server. Processor time is the client's, from the first call to the last, without its start; of the
whole program it is all there is."""


def calls_table(latency, results):
    bound = figures.bound(CALLS, PERMITS, latency / 1000)
    ours = summary(results[OURS])
    head = ["client", "wall", "÷ bound", "slot idle p50", "p99", "CPU s per 1,000 calls", "÷ ours", "peak"]
    if latency == 0:
        head[2] = "per call"
    rows = []
    for name, rounds in results.items():
        one = summary(rounds)
        wall = one["wall_s"]
        against = f"{wall / bound:.3f} ×" if latency else shown(wall / CALLS * 1000, "ms")
        rows.append(
            [
                name,
                f"{wall:.3f} s",
                against,
                shown(figures.percentile(one["gaps_ms"], 50), "ms"),
                shown(figures.percentile(one["gaps_ms"], 99), "ms"),
                shown(one["processor_s"] / CALLS * 1000, digits=3),
                shown(figures.ratio(one["processor_s"], ours["processor_s"]), "×"),
                shown(one["peak_kib"] / 1024, "MiB"),
            ]
        )
    title = f"**{latency} ms for each call**" + (f", bound {bound:.1f} s" if latency else "")
    return f"{title}\n\n{figures.table(head, rows)}"


def aims(slow):
    """What was aimed at, with the 50 ms calls."""
    ours = summary(slow[OURS])
    against = ours["wall_s"] / figures.bound(CALLS, PERMITS, 0.05)
    yield "wall ÷ bound at 50 ms", against, 1.05, "", "at most"
    idle = figures.percentile(ours["gaps_ms"], 99)
    yield "idle slot at p99, at 50 ms", idle, 1, "ms", "at most"
    plain = figures.percentile(summary(slow[PLAIN])["gaps_ms"], 99)
    yield "idle slot at p99 beyond the plain loop's, at 50 ms", idle - plain, 1, "ms", "at most"
    uncached = figures.percentile(summary(slow[UNCACHED])["gaps_ms"], 99)
    yield "the same without the cache", uncached - plain, 1, "ms", "at most"
    if LITELLM in slow:
        theirs = summary(slow[LITELLM])["processor_s"]
        less = figures.ratio(theirs, ours["processor_s"])
        yield "CPU of LiteLLM's router ÷ ours, at 50 ms", less, 20, "×", "at least"
        less = figures.ratio(theirs, summary(slow[UNCACHED])["processor_s"])
        yield "CPU of LiteLLM's router ÷ ours without the cache", less, 20, "×", "at least"


def cached_table(results):
    rows = []
    for name in (OURS, LITELLM):
        if name in results:
            again = [read * 1e6 for one in results[name] for read in one["again_s"]]
            p50, p99 = (figures.percentile(again, share) for share in (50, 99))
            rows.append([name, shown(p50, "µs"), shown(p99, "µs")])
    return "**The same questions again**, one after the other, each answered by the cache\n\n" + (
        figures.table(["client", "p50", "p99"], rows)
    )


def summary(rounds):
    of = {key: [one[key] for one in rounds] for key in ("wall_s", "processor_s")}
    return {
        "wall_s": figures.median(of["wall_s"]),
        "processor_s": figures.median(of["processor_s"]),
        "peak_kib": figures.median([one["peak_kib"] for one in rounds]),
        "gaps_ms": [gap for one in rounds for gap in one["gaps_ms"]],
    }
