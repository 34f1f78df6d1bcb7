"""Ray's side of the orchestrator's benchmark: a head node and a driver on loopback. A job is a call in a process that Ray has
started before; for the first figure that call starts `true`, so that each job is a process as everywhere."""
import os
import subprocess
import sys
import time

from measuring import KILL_JOBS, KILL_SLOTS, Ledger, Mark, Processes, median_ms, until

PORT = 6399
os.environ['RAY_USAGE_STATS_ENABLED'] = '0'


def spawn(*command):
    subprocess.run(command or ['true'])


def nothing(_before=None):
    return None


def drive(folder):
    """The driver of the kill test, in a process of its own: Ray ends it when the head is gone."""
    import ray
    ray.init(address=f'127.0.0.1:{PORT}', logging_level='ERROR', log_to_driver=False)
    body = ray.remote(num_cpus=1)(spawn)
    ledger = Ledger(folder)
    ray.get([body.remote(*ledger.body(i)) for i in range(KILL_JOBS)])


class Side:
    name = 'Ray'
    what = 'jobs/s: spawned; chain and start: calls without a process'

    def __init__(self, folder):
        self.folder = folder
        self.processes = Processes(folder)

    def start_head(self, slots):
        self.processes.start('head', [
            os.path.join(os.path.dirname(sys.executable), 'ray'), 'start', '--head', '--block',
            '--node-ip-address=127.0.0.1', f'--port={PORT}', f'--num-cpus={slots}', '--num-gpus=0',
            '--include-dashboard=false', '--disable-usage-stats', '--object-store-memory=200000000',
            f'--temp-dir={self.folder}/r'])

    def start(self, slots):
        import ray
        self.start_head(slots)

        def connected():
            try:
                ray.init(address=f'127.0.0.1:{PORT}', logging_level='ERROR', log_to_driver=False)
                return True
            except Exception:
                return False
        until(connected, 'Ray does not start', 60, 0.5)
        self.ray = ray
        self.spawn = ray.remote(num_cpus=1)(spawn)
        self.nothing = ray.remote(num_cpus=1)(nothing)
        ray.get([self.nothing.remote() for _ in range(50)])

    def jobs(self, count):
        start = time.perf_counter()
        self.ray.get([self.spawn.remote() for _ in range(count)])
        return round(count / (time.perf_counter() - start), 1)

    def chain(self, count):
        start = time.perf_counter()
        before = self.nothing.remote()
        for _ in range(count - 1):
            before = self.nothing.remote(before)
        self.ray.get(before)
        return round(count / (time.perf_counter() - start), 1)

    def latency_ms(self, count):
        """To the body's first act, as everywhere; there is no process to start."""
        mark = Mark(self.folder)

        def act(path):
            with open(path, 'w') as fifo:
                fifo.write('\n')
        body = self.ray.remote(num_cpus=1)(act)
        taken = []
        for _ in range(count):
            start = time.perf_counter()
            body.remote(mark.path)
            mark.wait()
            taken.append(time.perf_counter() - start)
        return median_ms(taken)

    def kill_controller(self):
        import psutil
        self.start_head(KILL_SLOTS)
        head = self.processes.running['head']
        children = lambda: psutil.Process(head.pid).children(recursive=True)
        until(lambda: any(child.name() == 'raylet' for child in children()), 'Ray does not start', 60, 0.5)
        time.sleep(3)
        ledger = Ledger(self.folder)
        driver = self.processes.start('driver', [sys.executable, __file__, self.folder])
        ledger.wait_for_a_quarter()
        next(child for child in children() if child.name() == 'gcs_server').kill()
        ledger.settle()
        gone = head.poll() is not None or not any(child.name() == 'raylet' for child in children())
        return {**ledger.verdict(), 'after': f'{"cluster gone" if gone else "cluster up"}, driver exit {driver.poll()}'}

    def stop(self):
        if hasattr(self, 'ray'):
            self.ray.shutdown()
        self.processes.stop()


if __name__ == '__main__':
    drive(sys.argv[1])
