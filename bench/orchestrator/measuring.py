"""What all sides of the orchestrator's benchmark share: processes started and ended, a ledger that tells what really ran,
a FIFO by which a job says that it runs. See bench/orchestrator/run."""
import collections
import os
import select
import signal
import subprocess
import time

PATIENCE_S = 240
KILL_JOBS = 200
KILL_SLOTS = 4
KILL_BODY_S = 0.2


class Processes:
    """Those that a side has started, each a session of its own; nothing else is ended."""

    def __init__(self, folder):
        self.folder = folder
        self.running = {}

    def start(self, name, command, env=None):
        with open(os.path.join(self.folder, name + '.log'), 'ab') as log:
            self.running[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                                                  start_new_session=True)
        return self.running[name]

    def kill(self, name):
        """SIGKILL to this one process; returns when it is gone."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def stop(self):
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.running.clear()


def until(condition, what, patience_s=PATIENCE_S, pause_s=0.02):
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(pause_s)
    raise TimeoutError(what)


class Mark:
    """A FIFO that a job's body writes a line into: that it runs is seen at once, whoever else would tell."""

    def __init__(self, folder):
        self.path = os.path.join(folder, 'mark')
        os.mkfifo(self.path)
        self.end = os.open(self.path, os.O_RDWR)

    def body(self):
        return ['sh', '-c', f'echo >{self.path}']

    def wait(self):
        if not select.select([self.end], [], [], PATIENCE_S)[0]:
            raise TimeoutError('the marked job did not run')
        os.read(self.end, 1)


class Ledger:
    """A file to which every job of the kill test appends when it starts and when it ends."""

    def __init__(self, folder):
        self.path = os.path.join(folder, 'ledger')
        open(self.path, 'w').close()

    def body(self, number):
        return ['sh', '-c', f'echo S {number} >>{self.path}; sleep {KILL_BODY_S}; echo E {number} >>{self.path}']

    def counts(self):
        seen = {'S': collections.Counter(), 'E': collections.Counter()}
        with open(self.path) as lines:
            for line in lines:
                kind, number = line.split()
                seen[kind][number] += 1
        return seen

    def ended(self):
        return len(self.counts()['E'])

    def wait_for_a_quarter(self):
        until(lambda: self.ended() >= KILL_JOBS // 4, 'no progress before the kill', 120)

    def settle(self, quiet_s=12, longest_s=90):
        """Until all have ended, or nothing has moved for a while."""
        end = time.monotonic() + longest_s
        size, moved = -1, time.monotonic()
        while time.monotonic() < end and self.ended() < KILL_JOBS:
            now = os.path.getsize(self.path)
            if now != size:
                size, moved = now, time.monotonic()
            elif time.monotonic() - moved > quiet_s:
                break
            time.sleep(0.1)

    def verdict(self):
        seen = self.counts()
        return {'lost': KILL_JOBS - len(seen['E']), 'run_twice': sum(1 for times in seen['S'].values() if times > 1)}


def median_ms(seconds):
    return round(1e3 * sorted(seconds)[len(seconds) // 2], 2)


def spawn_rate(count=400):
    """What this machine can do without any orchestrator, now: processes of `true`, two at a time, a second."""
    start = time.perf_counter()
    living = 0
    for _ in range(count):
        if living == 2:
            os.wait()
            living -= 1
        os.posix_spawnp('true', ['true'], os.environ)
        living += 1
    while living:
        os.wait()
        living -= 1
    return round(count / (time.perf_counter() - start))
