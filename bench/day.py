"""A day of editing on a real project: what the model is asked, and what simpler ways would ask."""

import os
import random
import subprocess
import time
from pathlib import Path

import edits
import figures
import projects
import world

DEBOUNCE_MS = 50
TESTS = "*_testsmith_test.go\ntests/testsmith/\n*.testsmith.test.*\n__snapshots__/\n"
# Files that the colleague's branch has otherwise.
BRANCH_FILES = 5
EVENTS = ["save", "reformat", "edit", "helper", "rename", "branch", "restart"]
WORDS = {
    "save": "a save without a change",
    "reformat": "a file reformatted",
    "edit": "one function edited",
    "helper": "a helper edited",
    "rename": "a file renamed",
    "branch": "a switch to another branch or back",
    "restart": "a restart of the daemon",
}
COUNTS = {"save": 10, "reformat": 5, "edit": 20, "helper": 3, "rename": 2, "branch": 4, "restart": 2}
QUICK = {"save": 1, "reformat": 1, "edit": 2, "helper": 1, "rename": 1, "branch": 2, "restart": 1}


class Ways:
    """What two simpler ways would ask in the same events.

    Each figure is a pair of calls and tokens. `each_time`: a file that is saved has every member asked
    for. `by_hash`: likewise, unless the file's content was there before, under whatever name; that way
    is given a cache of everything it ever saw. Both ask one call for each member; `by_hash_batch` asks for
    all members of a file in one call, as testsmith does.
    """

    def __init__(self, members, batches):
        """Tokens in and out: of each member asked for alone, and of each file's members at once."""
        self.members = dict(members)
        self.batches = dict(batches)
        self.seen = set()
        self.each_time = self.by_hash = self.by_hash_batch = (0, 0)

    def begin(self, contents):
        self.seen.update(contents.values())

    def event(self, contents, saved):
        for path in saved:
            members = self.members.get(path, {})
            if not members:
                continue
            cost = (len(members), sum(sum(tokens) for tokens in members.values()))
            self.each_time = plus(self.each_time, cost)
            if contents[path] not in self.seen:
                self.seen.add(contents[path])
                self.by_hash = plus(self.by_hash, cost)
                self.by_hash_batch = plus(self.by_hash_batch, (1, sum(self.batches[path])))

    def renamed(self, old, new):
        self.members[new] = self.members.pop(old)
        self.batches[new] = self.batches.pop(old)

    def totals(self):
        return {way: getattr(self, way) for way in ("each_time", "by_hash", "by_hash_batch")}


def plus(one, other):
    return (one[0] + other[0], one[1] + other[1])


def run(quick):
    """The section of the document."""
    counts = QUICK if quick else COUNTS
    days = []
    for project in projects.PROJECTS:
        with world.scratch() as place, world.Simulator() as simulator:
            days.append((project, Day(project, Path(place), simulator).run(counts)))
    parts = [preamble(counts), totals_table(days), events_table(days), figures.aims(aims(days))]
    return "\n\n".join([*parts, REMARK])


class Day:
    """One project's day."""

    def __init__(self, project, place, simulator):
        self.project, self.place, self.simulator = project, place, simulator
        self.root = place / project.name
        self.chance = random.Random(7)
        self.number = 0
        self.daemon = None
        self.spent_before = (0, 0)
        self.rows = {}

    def run(self, counts):
        projects.fetched(self.project, self.root)
        self.make_repository()
        self.ways = Ways(self.first_look("members", False), self.first_look("batches", True))
        # Files with something to ask for; the tests of all of them are there before the day begins.
        self.files = sorted(path for path in self.ways.members if (self.root / path).exists())
        self.make_branch()
        self.ways.begin({path: self.read(path) for path in self.files})
        try:
            self.start()
            for event in self.plan(counts):
                getattr(self, event)()
        finally:
            if self.daemon:
                self.daemon.stop()
        return self

    def plan(self, counts):
        """The day's events in a fixed, shuffled order; the branches are last, in pairs."""
        plan = [event for event in EVENTS for _ in range(counts[event]) if event != "branch"]
        self.chance.shuffle(plan)
        return plan + ["branch"] * counts["branch"]

    def make_repository(self):
        self.git("init", "-q", "-b", "main")
        # The tests are not in the repository, so that a switch leaves them where they are.
        (self.root / ".git" / "info" / "exclude").write_text(TESTS)
        self.git("add", "-A")
        self.git("commit", "-qm", "as released")

    def first_look(self, state, batch):
        """Everything asked for once; what the server counted by file, or by file and member."""
        self.simulator.clear()
        settings = [f"batch.enabled={'true' if batch else 'false'}"]
        place = self.place / state
        world.generate(self.root, place, self.simulator.base_url, settings)
        asked = {}
        for request in self.simulator.log():
            tokens = (request["tokens_in"], request["tokens_out"])
            if batch:
                asked[request["path"]] = plus(asked.get(request["path"], (0, 0)), tokens)
            else:
                [member] = request["members"]
                asked.setdefault(request["path"], {})[member] = tokens
        if not batch:
            # The tests belong to another state: the day's has to write its own.
            self.git("clean", "-fdxq")
        return asked

    def make_branch(self):
        """A colleague's branch: one function is otherwise in each of some files."""
        self.git("switch", "-qc", "colleague")
        self.branch_files = []
        for path in self.chance.sample(self.files, len(self.files)):
            if len(self.branch_files) == BRANCH_FILES:
                break
            if text := self.edit_of(path):
                self.write(path, text)
                self.branch_files.append(path)
        self.git("commit", "-qam", "another way")
        self.git("switch", "-q", "main")

    def start(self):
        self.simulator.clear()
        self.start_daemon()
        if self.simulator.log():
            raise RuntimeError("the start of the day asked for something")

    def start_daemon(self):
        settings = [f"watch.debounce={DEBOUNCE_MS}ms"]
        place = self.place / "batches"
        self.daemon = world.Daemon(self.root, place, self.simulator.base_url, settings)
        self.settle([])

    # What can happen.

    def save(self):
        path = self.chance.choice(self.files)
        self.write(path, self.read(path))
        self.after("save", [path])

    def reformat(self):
        path = self.some_file(lambda path: edits.reformatted(self.read(path), 1 + self.next() % 5))
        self.after("reformat", [path])

    def edit(self):
        self.after("edit", [self.some_file(self.edit_of)])

    def helper(self):
        self.after("helper", [self.some_file(self.helper_edit_of)])

    def rename(self):
        path = self.chance.choice([path for path in self.files if path not in self.branch_files])
        new = Path(path)
        new = str(new.with_name(f"{new.stem}{self.next()}{new.suffix}"))
        os.rename(self.root / path, self.root / new)
        self.ways.renamed(path, new)
        self.files[self.files.index(path)] = new
        self.after("rename", [new])

    def branch(self):
        here = self.git("branch", "--show-current")
        if here == "main" and self.git("status", "--porcelain"):
            self.git("add", "-A")
            self.git("commit", "-qm", "a day's work")
        there = "colleague" if here == "main" else "main"
        # What the day changed is merged there beforehand, so that only the colleague's files differ.
        if here == "main" and "branch" not in self.rows:
            self.merge()
        before = {path: self.read(path) for path in self.files}
        self.git("switch", "-q", there)
        self.after("branch", [path for path in self.files if self.read(path) != before[path]])

    def merge(self):
        """Puts the day's work below the colleague's commit, in a worktree that nobody watches."""
        beside = self.place / "beside"
        self.git("worktree", "add", "-q", str(beside), "colleague")
        self.git("-C", str(beside), "rebase", "-q", "-X", "theirs", "main")
        self.git("worktree", "remove", str(beside))

    def restart(self):
        self.daemon.stop()
        self.start_daemon()
        self.note("restart", self.ways.totals(), self.spent_before)

    # How it is done.

    def some_file(self, change):
        """Writes the first change that can be made and makes a difference; which file that was."""
        for path in self.chance.sample(self.files, len(self.files)):
            text = change(path)
            if text and text != self.read(path):
                self.write(path, text)
                return path
        raise RuntimeError(f"no place for such a change in {self.project.name}")

    def edit_of(self, path):
        names = sorted(self.ways.members[path])
        return self.first_edit(path, self.chance.sample(names, len(names)))

    def helper_edit_of(self, path):
        return self.first_edit(path, edits.helpers(self.project.language, self.read(path)))

    def first_edit(self, path, names):
        for name in names:
            try:
                return edits.edited(self.project.language, self.read(path), name, self.next())
            except edits.NoPlace:
                continue
        return None

    def after(self, event, paths):
        """Waits until all is done, and counts what the event has cost each way."""
        before, ways = self.spent_before, self.ways.totals()
        self.ways.event({path: self.read(path) for path in paths}, paths)
        self.settle(paths)
        self.note(event, ways, before)

    def note(self, event, ways, before):
        now, calls = self.ways.totals(), self.spent()
        row = self.rows.setdefault(event, {"times": 0, "ours": (0, 0)} | dict.fromkeys(now, (0, 0)))
        row["times"] += 1
        row["ours"] = plus(row["ours"], minus(calls, before))
        for way, cost in now.items():
            row[way] = plus(row[way], minus(cost, ways[way]))
        self.spent_before = calls

    def spent(self):
        """Calls and tokens of ours so far."""
        log = self.simulator.log()
        return len(log), sum(request["tokens_in"] + request["tokens_out"] for request in log)

    def settle(self, paths):
        """Waits until the daemon has seen these files as they are and has nothing to do."""
        for path in paths:
            seen = lambda path=path: self.daemon.ask(f"/v1/file?path={path}")["seen_as_it_is"]
            world.wait_until(f"a look at `{path}`", seen)
        time.sleep(DEBOUNCE_MS / 1000 + 0.25)
        world.wait_until("an empty queue", self.is_idle)

    def is_idle(self):
        queue = self.daemon.ask("/v1/status")["queue"]
        if queue["waiting"] or queue["parked"]:
            raise RuntimeError(f"a job failed: {queue}")
        return not queue["pending"] and not queue["running"]

    def next(self):
        self.number += 1
        return self.number

    def read(self, path):
        return (self.root / path).read_text(encoding="utf-8")

    def write(self, path, text):
        (self.root / path).write_text(text, encoding="utf-8")

    def git(self, *arguments):
        identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()


def minus(one, other):
    return (one[0] - other[0], one[1] - other[1])


def preamble(counts):
    times = ", ".join(f"{counts[event]} × {WORDS[event]}" for event in EVENTS)
    origins = "; ".join(f"`{project.name}` ({project.origin})" for project in projects.PROJECTS)
    return f"""\
A day on three real projects: {origins}. Their own tests are left out; testsmith's are there for every
member before the day begins. The day, in a shuffled order that is the same each time: {times}. The
colleague's branch has one function otherwise in each of {BRANCH_FILES} files. Ours is counted by the simulator's
log, with the real daemon at work, `verify.mode=off`. The other ways are reckoned over the same events: *each
time* asks for every member of a file that was saved; *by whole-file hash* does so only for content that it
never saw, under whatever name, so that it too gets saves without a change, renames and switches back for
nothing. Both ask one call for each member; *in batches* is the hash again, but with one call for all members
of a file, as ours has it. Tokens of theirs are those that the simulator counted when all members were first
asked for: the few that the edits add are left out. All figures are prompt and answer together."""


REMARK = """\
The aim is of calls where each member is a call. A way that asks for all members of a file at once saves the
same calls as ours does: against it the gain is in the tokens, since it has a whole file written anew for one
function, and in the files that were only reformatted."""


def aims(days):
    """What was aimed at: a tenth of the calls by whole-file hash, one for each member."""
    for project, day in days:
        ours, theirs = (
            sum(row[way][0] for row in day.rows.values()) for way in ("ours", "by_hash")
        )
        yield f"calls ÷ those by whole-file hash, {project.name}", ours / theirs, 0.1, "", "at most"


def totals_table(days):
    heads = ["project", "files, members", "", "ours", "by whole-file hash", "÷ ours", "in batches", "÷ ours"]
    heads += ["each time", "÷ ours"]
    rows = []
    for project, day in days:
        members = sum(len(members) for members in day.ways.members.values())
        for at, what in enumerate(["calls", "tokens"]):
            sums = {
                way: sum(row[way][at] for row in day.rows.values())
                for way in ("ours", "by_hash", "by_hash_batch", "each_time")
            }
            row = [project.name, f"{len(day.files)}, {members}", what, f"{sums['ours']:,}"]
            for way in ("by_hash", "by_hash_batch", "each_time"):
                times = figures.ratio(sums[way], sums["ours"])
                row += [f"{sums[way]:,}", f"{times:.1f} ×" if times else "–"]
            rows.append(row)
    return figures.table(heads, rows)


def events_table(days):
    """Calls by what was done."""
    heads = ["event", "times", "ours", "by whole-file hash", "in batches", "each time"]
    rows = []
    for event in EVENTS:
        of = [day.rows[event] for _, day in days if event in day.rows]
        sums = [sum(row[way][0] for row in of) for way in ("ours", "by_hash", "by_hash_batch", "each_time")]
        rows.append([WORDS[event], sum(row["times"] for row in of), *(f"{total:,}" for total in sums)])
    return "**Calls by event, all three projects**\n\n" + figures.table(heads, rows)
