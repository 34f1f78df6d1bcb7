"""Measures each side in turn and prints one table: bench/orchestrator/run calls this. Figures as JSON lines go to standard
error as they come, the table to standard output."""
import importlib
import json
import shutil
import sys
import tempfile

from measuring import spawn_rate

SIDES = ['paddock', 'hyperqueue', 'ray', 'dask']


def with_side(name, act):
    folder = tempfile.mkdtemp(prefix=f'orch-{name[:3]}-')
    side = importlib.import_module('side_' + name).Side(folder)
    try:
        return act(side)
    finally:
        side.stop()
        shutil.rmtree(folder, ignore_errors=True)


def measure(name, jobs, slots):
    def figures(side):
        side.start(slots)
        found = {'side': side.name, 'what': side.what, 'spawn_per_s': spawn_rate()}
        found['jobs_per_s'] = side.jobs(jobs)
        found['chain_per_s'] = side.chain(200)
        found['start_ms'] = side.latency_ms(200)
        return found
    found = with_side(name, figures)
    found['kill'] = with_side(name, lambda side: side.kill_controller())
    print(json.dumps(found), file=sys.stderr, flush=True)
    return found


def row(found):
    kill = found['kill']
    known = f', {kill["known"]} of {kill["acknowledged"]} submissions known' if 'known' in kill else ''
    return (f'| {found["side"]} ({found["what"]}) | {found["jobs_per_s"]:.0f} | {found["chain_per_s"]:.0f} | '
            f'{found["start_ms"]:.1f} ms | {kill["lost"]} lost, {kill["run_twice"]} run twice{known}; {kill["after"]} | '
            f'{found["spawn_per_s"]} |')


def main():
    jobs, slots, *names = sys.argv[1:]
    rows = []
    for name in names or SIDES:
        try:
            rows.append(row(measure(name, int(jobs), int(slots))))
        except Exception as problem:
            rows.append(f'| {name} | failed: {type(problem).__name__} {problem} | | | | |')
            print(rows[-1], file=sys.stderr, flush=True)
    print(f'| {jobs} `true` jobs, {slots} slots | jobs/s | chain of 200, jobs/s | submit to start, p50 | controller killed at '
          '1/4 of 200 jobs, restarted | spawns/s without any |')
    print('|---|---|---|---|---|---|')
    print('\n'.join(rows))


if __name__ == '__main__':
    main()
