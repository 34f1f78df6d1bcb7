"""Dask's side of the orchestrator's benchmark: scheduler, one-thread workers and client on loopback. A job is a call in a
worker; for the first figure that call starts `true`, so that each job is a process as everywhere."""
import collections
import os
import subprocess
import sys
import time

from measuring import KILL_JOBS, KILL_SLOTS, Ledger, Mark, Processes, median_ms, until

PORT = 18786
ENVIRONMENT = dict(os.environ, DASK_DISTRIBUTED__ADMIN__TICK__LIMIT='60s')


def spawn(_number=0, command=('true',)):
    subprocess.run(command)


def nothing(_before=None):
    return None


def act(path):
    with open(path, 'w') as fifo:
        fifo.write('\n')


class Side:
    name = 'Dask'
    what = 'jobs/s: spawned; chain and start: calls without a process'

    def __init__(self, folder):
        self.folder = folder
        self.processes = Processes(folder)
        self.dask = os.path.join(os.path.dirname(sys.executable), 'dask')

    def start_scheduler(self):
        self.processes.start('scheduler', [self.dask, 'scheduler', '--host', '127.0.0.1', '--port', str(PORT),
                                           '--no-dashboard', '--no-show'], ENVIRONMENT)

    def start(self, slots):
        from distributed import Client
        # The workers import this file's functions by its module's name.
        ENVIRONMENT['PYTHONPATH'] = os.path.dirname(os.path.abspath(__file__))
        self.start_scheduler()
        time.sleep(1)
        self.processes.start('workers', [self.dask, 'worker', f'tcp://127.0.0.1:{PORT}', '--host', '127.0.0.1', '--nworkers',
                                         str(slots), '--nthreads', '1', '--no-dashboard', '--local-directory',
                                         f'{self.folder}/local'], ENVIRONMENT)
        self.client = Client(f'tcp://127.0.0.1:{PORT}')
        self.client.wait_for_workers(slots, timeout=90)
        self.client.gather(self.client.map(nothing, range(50), pure=False))

    def jobs(self, count):
        start = time.perf_counter()
        self.client.gather(self.client.map(spawn, range(count), pure=False))
        return round(count / (time.perf_counter() - start), 1)

    def chain(self, count):
        start = time.perf_counter()
        before = self.client.submit(nothing, pure=False)
        for _ in range(count - 1):
            before = self.client.submit(nothing, before, pure=False)
        before.result()
        return round(count / (time.perf_counter() - start), 1)

    def latency_ms(self, count):
        mark = Mark(self.folder)
        taken = []
        for _ in range(count):
            start = time.perf_counter()
            job = self.client.submit(act, mark.path, pure=False)
            mark.wait()
            taken.append(time.perf_counter() - start)
            job.result()
        return median_ms(taken)

    def kill_controller(self):
        self.start(KILL_SLOTS)
        ledger = Ledger(self.folder)
        jobs = [self.client.submit(spawn, i, ledger.body(i), pure=False, retries=0) for i in range(KILL_JOBS)]
        ledger.wait_for_a_quarter()
        self.processes.kill('scheduler')
        time.sleep(1)
        self.start_scheduler()
        ledger.settle()
        states = collections.Counter(job.status for job in jobs)
        return {**ledger.verdict(), 'after': ', '.join(f'{count} {state}' for state, count in sorted(states.items()))}

    def stop(self):
        if hasattr(self, 'client'):
            try:
                self.client.close(timeout=2)
            except Exception as problem:  # its scheduler may have been killed
                print(f'closing the client of Dask: {problem}', file=sys.stderr)
        self.processes.stop()
