"""From a save to what follows of it: our request on the wire, watchexec's command started."""

import subprocess
import time
from pathlib import Path

import figures
import world
from figures import shown

DEBOUNCE_MS = 50
SETTLE = 0.15
IN_A_FOLDER = 20
OURS = "testsmith, second start"
COLD = "testsmith, first start"
PEER = "watchexec"


def run(quick):
    """The section of the document."""
    sizes = (100, 10_000) if quick else (100, 10_000, 100_000)
    rounds, saves = (1, 10) if quick else (3, 50)
    latency, start, aims = [], [], []
    for size in sizes:
        tree = make_tree(size)
        results = measure(tree, size, rounds, saves)
        aims += aims_of(size, results[OURS])
        latency += latency_rows(size, results)
        start += start_rows(size, results)
    heads = (
        ["files", "program", "saves", "p50", "p99"],
        ["files", "program", "watching after", "resident", "peak"],
    )
    return "\n\n".join(
        [
            preamble(rounds, saves),
            "**From the end of a save to the action, less the debounce**",
            figures.table(heads[0], latency),
            "**Start and memory**, medians",
            figures.table(heads[1], start),
            figures.aims(aims),
        ]
    )


def preamble(rounds, saves):
    return f"""\
Trees of Go files, {IN_A_FOLDER} in a folder, all of them sources, each tree a git repository. A debounce of
{DEBOUNCE_MS} ms for both. {rounds} rounds in turns with {saves} saves of one file in each. testsmith's action is
a whole request at the model's server, with the analysis of the file, the commit of the job to disk and the
prompt before it; watchexec's is the first thing that the command it starts does, which is to note the time,
without a shell between. testsmith watches when it says so, which is after it has compared every file; its
first start reads and hashes all of them. watchexec is taken to watch when it has a watch on every folder. Memory is
that of two seconds later, before the first save, and the most there was until then."""


def make_tree(size):
    """A tree of this many files; kept from run to run."""
    tree = world.CACHE / "trees" / str(size)
    done = tree / ".git" / "complete"
    if done.exists():
        return tree
    for first in range(0, size, IN_A_FOLDER):
        folder = tree / f"d{first // IN_A_FOLDER}"
        folder.mkdir(parents=True, exist_ok=True)
        for file in range(first, min(first + IN_A_FOLDER, size)):
            (folder / f"f{file}.go").write_text(source(file, 0))
    (tree / "go.mod").write_text("module example.com/tree\n\ngo 1.19\n")
    # A repository of its own, or the rules of the one around it would ignore it.
    subprocess.run(["git", "init", "-q", tree], check=True)
    done.touch()
    return tree


def source(file, number):
    return f"package d\n\nfunc F{file}(a int) int {{\n\treturn a + {number}\n}}\n"


class Saver:
    """Saves the same file with a content that was never there before."""

    def __init__(self, tree):
        self.path = tree / "d0" / "f0.go"
        self.number = time.time_ns() // 1000

    def save(self):
        """When the save was over, in seconds since 1970."""
        self.number += 1
        with open(self.path, "w", encoding="ascii") as file:
            file.write(source(0, self.number))
        return time.time()

    def saves(self, count, actions):
        """When each save was over, and when its action came; `actions` tells of all so far."""
        times = []
        for number in range(1, count + 1):
            times.append(self.save())
            # Nobody is asked while the save is on its way.
            time.sleep(DEBOUNCE_MS / 1000 + SETTLE)
            world.wait_until(f"action {number}", lambda number=number: len(actions()) >= number)
        return times, actions()


def measure(tree, size, rounds, saves):
    saver = Saver(tree)
    with world.Simulator() as simulator, world.scratch() as place:
        numbers = iter(range(10**6))

        def ours():
            return run_ours(tree, Path(place) / str(next(numbers)), simulator, saver, saves)

        contenders = [(OURS, ours)]
        if program := world.watchexec():
            mark = Path(place) / "mark"
            contenders.append((PEER, lambda: run_peer(program, tree, size, mark, saver, saves)))
        return world.in_turns(rounds, *contenders)


def beyond(saved, acted):
    """Pairs saves with actions; in milliseconds, less the debounce."""
    if len(saved) != len(acted):
        raise RuntimeError(f"{len(saved)} saves, but {len(acted)} actions")
    pairs = zip(saved, sorted(acted), strict=True)
    return [(action - save) * 1000 - DEBOUNCE_MS for save, action in pairs]


def run_ours(tree, place, simulator, saver, saves):
    settings = [f"watch.debounce={DEBOUNCE_MS}ms"]
    result = {}
    with world.Daemon(tree, place, simulator.base_url, settings) as daemon:
        result["cold_s"] = daemon.ready_after
        time.sleep(2)
        result["cold_memory"] = daemon.memory()
    with world.Daemon(tree, place, simulator.base_url, settings) as daemon:
        result["start_s"] = daemon.ready_after
        time.sleep(2)
        result["memory"] = daemon.memory()
        simulator.clear()

        def actions():
            return [request["arrived_unix_us"] / 1e6 for request in simulator.log()]

        saved, acted = saver.saves(saves, actions)
    return result | {"beyond_ms": beyond(saved, acted)}


def run_peer(program, tree, size, mark, saver, saves):
    mark.write_text("")
    flags = ["--quiet", "--postpone", "--debounce", f"{DEBOUNCE_MS}ms", "--shell=none"]
    command = [program, *flags, "--", world.example("mark"), mark]
    folders = size // IN_A_FOLDER + 1
    began = time.perf_counter()
    with world.Process(command, cwd=tree, stdin=subprocess.DEVNULL) as peer:
        world.wait_until("watches", lambda: peer.inotify_watches() >= folders)
        start = time.perf_counter() - began
        time.sleep(2)
        memory = peer.memory()

        def actions():
            return [int(line) / 1e6 for line in mark.read_text().split()]

        saved, acted = saver.saves(saves, actions)
    return {"start_s": start, "memory": memory, "beyond_ms": beyond(saved, acted)}


def aims_of(size, ours):
    p99 = figures.percentile([value for one in ours for value in one["beyond_ms"]], 99)
    yield f"save → request beyond the debounce at p99, {size:,} files", p99, 10, "ms", "at most"
    if size == 100_000:
        start = figures.median([one["start_s"] for one in ours])
        yield f"second start, {size:,} files", start, 1, "s", "at most"
        memory = figures.median([one["memory"][0] for one in ours]) / 1024
        yield f"resident at rest, {size:,} files", memory, 60, "MiB", "at most"


def latency_rows(size, results):
    rows = []
    for name, rounds in results.items():
        all_ms = [value for one in rounds for value in one["beyond_ms"]]
        p50, p99 = (f"{figures.percentile(all_ms, share):.1f} ms" for share in (50, 99))
        rows.append([f"{size:,}", name.partition(",")[0], len(all_ms), p50, p99])
    return rows


def start_rows(size, results):
    rows = []

    def add(name, rounds, start, memory):
        seconds = figures.median([one[start] for one in rounds])
        rest, peak = (
            shown(figures.median([one[memory][at] for one in rounds]) / 1024, "MiB") for at in (0, 1)
        )
        rows.append([f"{size:,}", name, f"{seconds:.2f} s", rest, peak])

    add(COLD, results[OURS], "cold_s", "cold_memory")
    for name, rounds in results.items():
        add(name, rounds, "start_s", "memory")
    return rows
