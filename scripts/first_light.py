"""Runs examples/first-light.yaml on a cluster of this machine, kills a rank of the pretraining, and checks what came out.

Called by scripts/demo with the state folder. Only the standard library; everything is learnt from `paddock … --output json`
and from the files that the report links to.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PADDOCK = str(ROOT / 'build/dev/bin/paddock')
GRAPH = str(ROOT / 'examples/first-light.yaml')
KILLED_JOB = 'pretrain'
POLL_SECONDS = 0.5


def paddock(state, *words):
    """The JSON answer of one command; None while the coordinator cannot say."""
    done = subprocess.run([PADDOCK, *words, '--state', state, '--output', 'json'], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 and done.stdout else None


def job_of(graph, name):
    return next(job for job in graph['jobs'] if job['job'] == name)


def status_of(state, graph_id):
    answer = paddock(state, 'status', str(graph_id))
    return answer['graphs'][0] if answer else None


class Killer(threading.Thread):
    """Once the pretraining has a durable checkpoint and has gone on beyond it, kills one of its processes with SIGKILL."""

    def __init__(self, state, graph_id):
        super().__init__(daemon=True)
        self.state, self.graph_id, self.story = state, graph_id, None

    def run(self):
        while self.story is None:
            graph = status_of(self.state, self.graph_id)
            if graph and graph['state'] != 'active':
                return
            if graph:
                self.try_once(job_of(graph, KILLED_JOB))
            time.sleep(POLL_SECONDS)

    def try_once(self, job):
        answer = paddock(self.state, 'checkpoints', str(self.graph_id), KILLED_JOB)
        checkpoints = answer['checkpoints'] if answer else []
        step = (job['progress'] or {}).get('step', 0)
        if job['state'] != 'running' or not checkpoints:
            return
        newest = max(checkpoint['step'] for checkpoint in checkpoints)
        if step <= newest + 2:
            return
        pids = [pid for pid in job['attempts'][-1]['pids'] if pid > 0]
        rank = len(pids) - 1
        os.kill(pids[rank], signal.SIGKILL)
        self.story = {'step': step, 'checkpoint': newest, 'pid': pids[rank], 'rank': rank}
        print(f'\n*** kill -9 {pids[rank]}: rank {rank} of {KILLED_JOB} at step {step}; newest checkpoint: step {newest}\n',
              flush=True)


def start_cluster(state):
    os.makedirs(state, exist_ok=True)
    log = open(os.path.join(state, 'dev.log'), 'ab')
    cluster = subprocess.Popen([PADDOCK, 'dev', '--state', state, '--cpus-per-worker', str(max(1, os.cpu_count()))], stdout=subprocess.PIPE, stderr=log, text=True)
    for line in cluster.stdout:
        print(line, end='', flush=True)
        if 'ready' in line:
            threading.Thread(target=lambda: [None for _ in cluster.stdout], daemon=True).start()
            return cluster
    sys.exit(f'the cluster did not start: see {state}/dev.log')


def artifact(graph, job, name):
    return next(pathlib.Path(found['path']) for found in job_of(graph, job)['artifacts'] if found['name'] == name)


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]


def steps_asked_for(checkpoint):
    """The length of the run, from the options that its checkpoint carries."""
    manifest = json.loads((checkpoint / 'manifest.json').read_text(encoding='utf-8'))
    return manifest['state']['options']['schedule']['steps']


def check_run(run, checkpoint, problems):
    """Every step from the first to the last that was asked for, once and in order, and a held-out loss that fell."""
    steps = [line['step'] for line in lines_of(run / 'metrics.jsonl')]
    last = steps_asked_for(checkpoint)
    if steps != list(range(1, last + 1)):
        problems.append(f'{run}/metrics.jsonl has {len(steps)} lines that are not the steps 1…{last}, each once')
    heldout = lines_of(run / 'heldout.jsonl')
    before, after = heldout[0]['loss'], heldout[-1]['loss']
    if not after < before:
        problems.append(f'the held-out loss of {run} did not fall: {before:.4f} → {after:.4f}')
    return f'{len(steps)} steps logged of {last}; held-out loss {before:.4f} → {after:.4f}'


def check(graph, story, problems):
    if graph['state'] != 'succeeded':
        problems.append(f'the graph is {graph["state"]}: ' + '; '.join(
            f'{job["job"]}: {job["reason"]}' for job in graph['jobs'] if job['state'] != 'succeeded'))
        return
    for name in (KILLED_JOB, 'distill'):
        print(f'{name}: ' + check_run(artifact(graph, name, 'run'), artifact(graph, name, 'checkpoint'), problems))
    job = job_of(graph, KILLED_JOB)
    if job['cached']:
        print(f'{KILLED_JOB}: came from the cache, nothing was killed this time')
        return
    if story is None:
        problems.append(f'no process of {KILLED_JOB} was killed: it ended before its first checkpoint')
        return
    killed, resumed = job['attempts'][0], job['attempts'][-1]
    if len(job['attempts']) < 2 or killed['outcome'] != 'failed' or resumed['outcome'] != 'succeeded':
        problems.append(f'{KILLED_JOB} was not resumed: {[attempt["outcome"] for attempt in job["attempts"]]}')
        return
    resumes = [line for line in lines_of(artifact(graph, KILLED_JOB, 'run') / 'attempts.jsonl')
               if line['fence'] == resumed['fence']]
    if not resumes or resumes[0]['step'] < story['checkpoint']:
        problems.append(f'{KILLED_JOB} did not resume from its checkpoint of step {story["checkpoint"]}: {resumes}')
        return
    print(f'{KILLED_JOB}: attempt {killed["attempt"]} ended ("{killed["reason"]}"), attempt {resumed["attempt"]} went on '
          f'from the checkpoint of step {resumes[0]["step"]}')


def main():
    state = os.path.abspath(sys.argv[1])
    began = time.monotonic()
    cluster = start_cluster(state)
    problems = []
    try:
        submitted = paddock(state, 'submit', GRAPH)
        if not submitted:
            sys.exit(subprocess.run([PADDOCK, 'submit', GRAPH, '--state', state]).returncode or 1)
        killer = Killer(state, submitted['graph'])
        killer.start()
        subprocess.run([PADDOCK, 'status', str(submitted['graph']), '--watch', '--state', state])
        graph = status_of(state, submitted['graph'])
        killer.join(timeout=5)
        print()
        check(graph, killer.story, problems)
        if graph['state'] == 'succeeded':
            report = artifact(graph, 'evaluate', 'report')
            print('\n' + (report / 'report.md').read_text(encoding='utf-8'))
            print(f'report: {report}/report.html')
    finally:
        cluster.send_signal(signal.SIGTERM)
        cluster.wait()
    print(f'{time.monotonic() - began:.0f} s after the build')
    for problem in problems:
        print(f'FAILED: {problem}')
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    main()
