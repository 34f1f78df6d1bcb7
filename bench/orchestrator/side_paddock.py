"""Paddock's side of the orchestrator's benchmark: coordinator and worker as they are shipped, durable journal on."""
import json
import os
import subprocess
import time

from measuring import KILL_JOBS, KILL_SLOTS, Ledger, Processes, until

BIN = os.environ['PADDOCK_BIN']


class Side:
    name = 'Paddock'
    what = 'durable journal, each job a process'

    def __init__(self, folder):
        self.folder = folder
        self.processes = Processes(folder)
        self.endpoint_file = os.path.join(folder, 'endpoint')

    def start_coordinator(self):
        self.processes.start('coordinator', [
            f'{BIN}/paddock', 'coordinator', '--plain', '--quiet', '--state', f'{self.folder}/state', '--store',
            f'{self.folder}/store', '--bind', 'tcp://127.0.0.1:*', '--endpoint-file', self.endpoint_file])
        until(lambda: os.path.exists(self.endpoint_file) and self.answers(), 'the coordinator does not answer', 30)

    def endpoint(self):
        with open(self.endpoint_file) as file:
            return file.readline().strip()

    def ask(self, *words, **options):
        return subprocess.run([f'{BIN}/paddock', *words, '--plain', '--coordinator', self.endpoint(), '--output', 'json'],
                              capture_output=True, text=True, **options)

    def answers(self):
        return self.ask('status').returncode == 0

    def start(self, slots):
        self.start_coordinator()
        self.processes.start('worker', [
            f'{BIN}/paddock', 'worker', '--plain', '--quiet', '--coordinator', self.endpoint(), '--node', 'a', '--state',
            f'{self.folder}/worker', '--address', '127.0.0.1', '--cpus', str(slots), '--gpus', 'none'])
        until(lambda: '"ready"' in self.ask('nodes').stdout, 'the worker does not join', 30)
        self.client('jobs', '20')

    def client(self, *words):
        done = subprocess.run([f'{BIN}/orchestrator_client', words[0], self.endpoint(), *words[1:]], capture_output=True,
                              text=True, check=True)
        return json.loads(done.stdout)

    def jobs(self, count):
        return self.client('jobs', str(count))['jobs_per_s']

    def chain(self, count):
        return self.client('chain', str(count))['jobs_per_s']

    def latency_ms(self, count):
        return self.client('latency', str(count), f'{self.folder}/latency-mark')['p50_ms']

    def kill_controller(self):
        """200 jobs, the coordinator killed at a quarter, right after 20 more submissions were acknowledged."""
        self.start(KILL_SLOTS)
        ledger = Ledger(self.folder)
        graph = {'graph': 'ledger', 'jobs': {f'j{i}': {'kind': 'command', 'command': ledger.body(i)} for i in range(KILL_JOBS)}}
        assert self.ask('submit', '-', input=json.dumps(graph)).returncode == 0
        ledger.wait_for_a_quarter()
        late = json.dumps({'graph': 'late', 'jobs': {'j': {'kind': 'command', 'command': ['true']}}})
        told = [json.loads(self.ask('submit', '-', input=late).stdout)['graph'] for _ in range(20)]
        self.processes.kill('coordinator')
        time.sleep(2)
        self.start_coordinator()
        ledger.settle()
        state = until(self.state_of_kill_graph, 'the graph does not end', 60)
        listed = {graph['graph'] for graph in json.loads(self.ask('status').stdout)['graphs']}
        return {**ledger.verdict(), 'acknowledged': len(told), 'known': sum(graph in listed for graph in told),
                'after': f'graph {state}'}

    def state_of_kill_graph(self):
        graphs = json.loads(self.ask('status').stdout)['graphs']
        states = [graph['state'] for graph in graphs if graph['name'] == 'ledger']
        return states[0] if states and states[0] != 'active' else None

    def stop(self):
        self.processes.stop()
