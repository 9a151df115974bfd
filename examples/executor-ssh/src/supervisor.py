"""Runs one command, and sees to it that nothing of it is left. Python 3.9 or later, on Linux.

    supervisor.py run STATE             a job comes in on standard input, frames go out on standard output
    supervisor.py recover STATE RUN     prints what became of a run
    supervisor.py program STATE NAME    prints where a program is

A frame is a letter, four bytes of length (the highest first), and that many bytes. STATE is a directory of this program.
It adopts the orphans of the command (PR_SET_CHILD_SUBREAPER), so a run is over when it has no child left.
"""

import ctypes
import hashlib
import os
import select
import signal
import stat
import struct
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
# How long it tries to kill what is left before it says that something is.
KILLING_S = 10.0
# How much output waits for the connection before the command has to wait.
MOST_WAITING = 1 << 20
# States of runs are kept for this long.
KEPT_S = 30 * 24 * 3600
PROGRAMS = "/usr/local/bin:/usr/bin:/bin"


class Connection:
    """The frames to and from the other machine."""

    def __init__(self):
        self.incoming, self.outgoing, self.is_gone = bytearray(), bytearray(), False

    def receive(self):
        try:
            chunk = os.read(0, 1 << 16)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self.incoming += chunk
        self.is_gone = self.is_gone or not chunk

    def frames(self):
        while len(self.incoming) >= 5:
            kind, size = struct.unpack(">cI", self.incoming[:5])
            if len(self.incoming) < 5 + size:
                return
            body = bytes(self.incoming[5 : 5 + size])
            del self.incoming[: 5 + size]
            yield kind, body

    def next(self):
        """Waits for a frame; none when the connection is gone."""
        while True:
            for frame in self.frames():
                return frame
            if self.is_gone:
                return None, b""
            select.select([0], [], [])
            self.receive()

    def send(self, kind, body):
        self.outgoing += struct.pack(">cI", kind, len(body)) + body
        self.flush()

    def flush(self):
        try:
            while self.outgoing and not self.is_gone:
                del self.outgoing[: os.write(1, self.outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            self.is_gone = True

    def flush_all(self):
        while self.outgoing and not self.is_gone:
            select.select([], [1], [])
            self.flush()


class Stream:
    """One output stream of the command."""

    def __init__(self, kind, fd):
        self.kind, self.fd = kind, fd
        self.bytes, self.lines, self.sha, self.held_open = 0, 0, hashlib.sha256(), False
        os.set_blocking(fd, False)

    def read(self, connection):
        """Reads what is there. Returns true if there may be more at once."""
        try:
            chunk = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return False
        if not chunk:
            self.close()
            return False
        self.bytes += len(chunk)
        self.lines += chunk.count(b"\n")
        self.sha.update(chunk)
        connection.send(self.kind, chunk)
        return True

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def line(self, name):
        held = "yes" if self.held_open else "no"
        return f"{name} {self.bytes} {self.lines} {self.sha.hexdigest()} {held}"


def text(raw):
    """Text of one line."""
    shown = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    return "".join(c if c.isprintable() else " " for c in shown)


def stat_fields(pid):
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rsplit(b")", 1)[1].split()


def descendants():
    """Living processes below this one: pid -> parent."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = stat_fields(name)
            except OSError:
                continue
            parents[int(name)] = (int(fields[1]), fields[0])
    below, known = {}, {os.getpid()}
    while True:
        more = [p for p, (parent, _) in parents.items() if parent in known and p not in known]
        if not more:
            return {p: parents[p][0] for p in below if parents[p][1] not in (b"Z", b"X")}
        known.update(more)
        below.update((p, True) for p in more)


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return text(file.read(300).replace(b"\0", b" ")).strip()
    except OSError:
        return ""


class State:
    """What is known of a run, in a file that outlives the connection."""

    def __init__(self, directory, run):
        if not run or not all(c.isalnum() or c == "-" for c in run):
            raise ValueError("no name of a run")
        self.directory = os.path.expanduser(directory)
        self.path = os.path.join(self.directory, run)

    def write(self, lines):
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        new = f"{self.path}.{os.getpid()}"
        with open(new, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path)

    def forget(self):
        try:
            os.unlink(self.path)
        except OSError:
            pass

    def forget_old(self):
        for entry in os.scandir(self.directory):
            if entry.stat(follow_symlinks=False).st_mtime < time.time() - KEPT_S:
                os.unlink(entry.path)

    def answer(self):
        try:
            with open(self.path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return ["unknown"]
        if lines[0] != "running":
            return lines
        pid, started, boot = lines[1].split()
        try:
            alive = stat_fields(pid)[19].decode() == started and boot == boot_id()
        except OSError:
            alive = False
        if alive:
            return ["running"]
        # It may have ended in between.
        with open(self.path, encoding="utf-8") as file:
            now = file.read().splitlines()
        return now if now != lines else ["unknown"]


def boot_id():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


class Job:
    def __init__(self, body):
        fields = iter(body.split(b"\0"))
        take = lambda: next(fields)
        self.run = take().decode()
        self.program, self.directory = take(), take()
        self.timeout, self.grace = int(take()) / 1000, int(take()) / 1000
        self.signal, self.to_leader, self.leaks_fail = int(take()), take() == b"leader", take().decode()
        self.argv = [take() for _ in range(int(take()))]
        self.env = dict(take().split(b"=", 1) for _ in range(int(take())))


def start(job, stdin):
    """Starts the command. Returns its pid and its output streams, or why it cannot be started."""
    said, says = os.pipe()
    pipes = {b"o": os.pipe(), b"e": os.pipe()}
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            os.chdir(job.directory)
            os.dup2(stdin, 0)
            os.dup2(pipes[b"o"][1], 1)
            os.dup2(pipes[b"e"][1], 2)
            signal.set_wakeup_fd(-1)
            for number in range(1, signal.NSIG):
                try:
                    signal.signal(number, signal.SIG_DFL)
                except (OSError, ValueError):
                    pass
            os.execve(job.program, job.argv, job.env)
        except BaseException as error:
            os.write(says, text(error).encode())
        os._exit(127)
    os.close(says)
    os.close(stdin)
    for _, end in pipes.values():
        os.close(end)
    why = os.read(said, 4096)
    os.close(said)
    if why:
        os.waitpid(child, 0)
        return None, why
    return child, {kind: Stream(kind, fd) for kind, (fd, _) in pipes.items()}


class Run:
    """One command, from its start to the last process of it."""

    def __init__(self, job, connection, child, streams, stdin):
        self.job, self.connection, self.child, self.streams = job, connection, child, streams
        self.stdin, self.waiting = stdin
        self.started = time.monotonic()
        self.ended = self.why = self.term_at = self.kill_at = self.empty_at = None
        self.urgent, self.signals, self.leaked, self.survivors = False, [], [], []
        self.used = [0.0, 0.0, 0]

    def now(self):
        return time.monotonic() - self.started

    def send(self, number, pids):
        count = 0
        for pid in pids:
            try:
                os.kill(pid, number)
                count += 1
            except OSError:
                pass
        if count and (not self.signals or self.signals[-1][1] != number):
            self.signals.append((self.ms(), number, count))

    def ms(self):
        return int(self.now() * 1000)

    def ask(self, why):
        if self.term_at is None and self.kill_at is None:
            self.why, self.term_at = why, self.now()
            self.send(self.job.signal, [self.child] if self.job.to_leader else descendants())

    def kill(self):
        self.kill_at = self.now() if self.kill_at is None else self.kill_at
        self.send(signal.SIGKILL, descendants())

    def reap(self):
        while self.empty_at is None:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self.empty_at = self.now()
                return
            if pid == 0:
                return
            self.used[0] += used.ru_utime
            self.used[1] += used.ru_stime
            self.used[2] = max(self.used[2], used.ru_maxrss)
            if pid == self.child:
                self.ended = status

    def listen(self):
        if not self.connection.is_gone:
            self.connection.receive()
        for kind, body in self.connection.frames():
            if kind == b"c":
                self.ask("cancelled")
            elif kind == b"k":
                self.ask("cancelled")
                self.urgent = True
            elif kind == b"q":
                self.streams[body].close()
        if self.connection.is_gone:
            # Nobody waits for this run any more.
            self.ask("cancelled")

    def step(self):
        """Does what is due now. Returns how long there is to wait for the next thing, or none at the end."""
        self.reap()
        if self.empty_at is not None:
            return None
        if self.kill_at is not None:
            if self.now() - self.kill_at > KILLING_S:
                self.survivors = list(descendants())
                return None
            self.kill()
            return 0.005
        if self.term_at is not None:
            left = self.term_at + self.job.grace - self.now()
            if left <= 0 or self.urgent:
                self.kill()
                return 0
            return min(left, 0.05)
        if self.ended is not None:
            self.leaked = [(pid, command_line(pid)) for pid in descendants()]
            self.why = "leaked"
            self.kill()
            return 0
        left = self.job.timeout - self.now()
        if left <= 0:
            self.ask("timeout")
            return 0
        return left

    def feed(self):
        try:
            while self.waiting:
                del self.waiting[: os.write(self.stdin, self.waiting[:65536])]
        except BlockingIOError:
            return
        except OSError:
            self.waiting.clear()
        os.close(self.stdin)
        self.stdin = None

    def wait(self, woken):
        # What came together with the word to go.
        self.listen()
        while (left := self.step()) is not None:
            connection = self.connection
            readers = [woken] + ([] if connection.is_gone else [0])
            if len(connection.outgoing) < MOST_WAITING:
                readers += [s.fd for s in self.streams.values() if s.fd is not None]
            writers = [1] if connection.outgoing and not connection.is_gone else []
            writers += [self.stdin] if self.stdin is not None else []
            ready, writable, _ = select.select(readers, writers, [], left)
            if woken in ready:
                os.read(woken, 4096)
            if self.stdin in writable:
                self.feed()
            connection.flush()
            for stream in self.streams.values():
                if stream.fd in ready:
                    stream.read(connection)
            if 0 in ready or connection.is_gone:
                self.listen()
        # Nothing that is left could write. What somebody else holds open is not waited for.
        for stream in self.streams.values():
            while stream.fd is not None and stream.read(self.connection):
                pass
            stream.held_open = stream.fd is not None
            stream.close()

    def lines(self):
        end = "none"
        if self.ended is not None and os.WIFSIGNALED(self.ended):
            end = f"signal {os.WTERMSIG(self.ended)}"
        elif self.ended is not None:
            end = f"exit {os.WEXITSTATUS(self.ended)}"
        lines = [
            "ended",
            f"host {text(os.uname().nodename)}",
            f"command {end}",
            f"duration {self.ms()}",
            f"leaks_fail {self.job.leaks_fail}",
            f"proof {'yes' if self.empty_at is not None else 'no'}",
            f"used {int(self.used[0] * 1000)} {int(self.used[1] * 1000)} {self.used[2] * 1024}",
            self.streams[b"o"].line("stdout"),
            self.streams[b"e"].line("stderr"),
        ]
        if self.why:
            lines.append(f"why {self.why}")
        times = {"term_at": self.term_at, "kill_at": self.kill_at}
        if self.why:
            times["empty_at"] = self.empty_at
        if self.term_at is not None:
            times["grace_used"] = (self.kill_at or self.empty_at or self.now()) - self.term_at
        lines += [f"{name} {int(at * 1000)}" for name, at in times.items() if at is not None]
        lines += [f"sent {at} {number} {count}" for at, number, count in self.signals]
        lines += [f"leaked {pid} {command}" for pid, command in self.leaked]
        lines += [f"survivor {pid} {command_line(pid)}" for pid in self.survivors]
        return lines


def input_of(connection):
    """Waits for the word to go. Returns the command's standard input as (its end, our end, what to write); none without it."""
    waiting, is_given = bytearray(), False
    while True:
        kind, body = connection.next()
        if kind is None:
            return None
        if kind == b"i":
            is_given = True
            waiting += body
        if kind == b"g":
            break
    if not is_given:
        return os.open("/dev/null", os.O_RDONLY), None, waiting
    theirs, ours = os.pipe()
    os.set_blocking(ours, False)
    return theirs, ours, waiting


def run(directory):
    os.set_blocking(0, False)
    os.set_blocking(1, False)
    connection = Connection()
    kind, body = connection.next()
    if kind != b"j":
        return
    job = Job(body)
    state = State(directory, job.run)
    why = None
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        why = "orphans cannot be adopted: this is no Linux"
    elif not os.path.isdir(job.directory):
        why = f"there is no directory `{text(job.directory)}`"
    else:
        try:
            started = stat_fields(os.getpid())[19].decode()
            state.write(["running", f"{os.getpid()} {started} {boot_id()}"])
            state.forget_old()
        except OSError as error:
            why = f"the state of the run cannot be kept: {text(error)}"
    if why:
        connection.send(b"n", why.encode())
        return connection.flush_all()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    woken, wakes = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    connection.send(b"y", text(os.uname().nodename).encode())
    stdin = input_of(connection)
    if stdin is None:
        return state.forget()
    child, streams = start(job, stdin[0])
    if child is None:
        lines = ["ended", f"host {text(os.uname().nodename)}", f"spawn {text(streams)}"]
    else:
        running = Run(job, connection, child, streams, stdin[1:])
        running.wait(woken)
        lines = running.lines()
    state.write(lines)
    connection.send(b"r", "\n".join(lines).encode())
    connection.flush_all()


def program(name):
    """A program is trusted if only its owner, who is root or this user, can change it or exchange a directory above it."""
    found = name if name.startswith("/") else None
    for directory in [] if found else PROGRAMS.split(":"):
        path = os.path.join(directory, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            found = path
            break
    if found is None or not os.access(found, os.X_OK):
        return "missing"
    found = real = os.path.realpath(found)
    while True:
        about = os.stat(real)
        if about.st_uid not in (0, os.getuid()) or (
            about.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not about.st_mode & stat.S_ISVTX
        ):
            return f"untrusted others can change `{text(real)}`"
        if real == "/":
            return f"found {found}"
        real = os.path.dirname(real)


def main():
    mode, directory = sys.argv[1], sys.argv[2]
    if mode == "run":
        run(directory)
    elif mode == "recover":
        print("\n".join(State(directory, sys.argv[3]).answer()))
    else:
        print(program(sys.argv[3]))


main()
