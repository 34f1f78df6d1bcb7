"""HyperQueue's side of the orchestrator's benchmark, from its wheel: server and worker in processes of their own. The wheel
adds a worker only to a server of its own process, so the worker's process starts one that stays idle and lets its folder
point at the real one. It has no way to ask for a journal."""
import os
import subprocess
import sys
import time

from measuring import KILL_JOBS, KILL_SLOTS, Ledger, Mark, Processes, median_ms, until

QUIET = {'stdout': None, 'stderr': None}


def serve(folder, join=None, cores=0):
    from hyperqueue.ffi.cluster import Cluster
    cluster = Cluster(folder)
    if join:
        link = os.path.join(folder, 'hq-current')
        os.symlink(os.path.realpath(os.path.join(join, 'hq-current')), link + '.next')
        os.replace(link + '.next', link)
        cluster.add_worker(int(cores))
    while True:
        time.sleep(3600)


class Side:
    name = 'HyperQueue'
    what = 'no journal in its wheel, each job a process'

    def __init__(self, folder):
        self.folder = folder
        self.processes = Processes(folder)
        self.server = os.path.join(folder, 'server')

    def start_server(self):
        os.makedirs(self.server, exist_ok=True)
        current = os.path.join(self.server, 'hq-current')
        before = os.path.realpath(current)
        self.processes.start('server', [sys.executable, __file__, self.server])
        until(lambda: os.path.exists(current) and os.path.realpath(current) != before, 'the server does not start', 30)
        time.sleep(0.5)

    def start(self, slots):
        import hyperqueue.client
        hyperqueue.client.create_progress_callback = lambda: lambda _jobs: None
        self.start_server()
        worker = os.path.join(self.folder, 'worker')
        os.makedirs(worker)
        self.processes.start('worker', [sys.executable, __file__, worker, self.server, str(slots)])
        self.slots = slots
        self.client = hyperqueue.client.Client(self.server)
        self.mark = Mark(self.folder)
        self.jobs(20)

    def submit(self, fill):
        from hyperqueue import Job
        job = Job(default_workdir=self.folder)
        fill(job)
        return self.client.submit(job)

    def jobs(self, count):
        """The last one, of lower priority, wants all slots: it runs when all others have ended."""
        from hyperqueue.ffi.protocol import ResourceRequest

        def fill(job):
            for _ in range(count):
                job.program(['true'], **QUIET)
            job.program(self.mark.body(), priority=-1, resources=ResourceRequest(cpus=self.slots), **QUIET)
        start = time.perf_counter()
        self.submit(fill)
        self.mark.wait()
        return round(count / (time.perf_counter() - start), 1)

    def chain(self, count):
        def fill(job):
            before = ()
            for _ in range(count):
                before = (job.program(['true'], deps=before, **QUIET),)
            job.program(self.mark.body(), deps=before, **QUIET)
        start = time.perf_counter()
        self.submit(fill)
        self.mark.wait()
        return round(count / (time.perf_counter() - start), 1)

    def latency_ms(self, count):
        taken = []
        for _ in range(count):
            start = time.perf_counter()
            self.submit(lambda job: job.program(self.mark.body(), **QUIET))
            self.mark.wait()
            taken.append(time.perf_counter() - start)
        return median_ms(taken)

    def kill_controller(self):
        self.start(KILL_SLOTS)
        ledger = Ledger(self.folder)
        submitted = self.submit(lambda job: [job.program(ledger.body(i), **QUIET) for i in range(KILL_JOBS)])
        ledger.wait_for_a_quarter()
        self.processes.kill('server')
        time.sleep(2)
        self.start_server()
        ledger.settle()
        # Asked in a process of its own: the wheel may panic, or wait for ever.
        try:
            asked = subprocess.run([sys.executable, __file__, 'known', self.server, str(submitted.id)],
                                   capture_output=True, timeout=20)
            after = 'job known' if asked.returncode == 0 else 'job unknown'
        except subprocess.TimeoutExpired:
            after = 'no answer about the job'
        return {**ledger.verdict(), 'after': after}

    def stop(self):
        self.processes.stop()


def ask(server, job):
    from hyperqueue.client import Client
    Client(server).connection.get_failed_tasks([int(job)])[int(job)]


if __name__ == '__main__':
    if sys.argv[1] == 'known':
        ask(*sys.argv[2:])
    else:
        serve(*sys.argv[1:])
