"""That a seed of scripts/chaos is a sequence of faults and graphs, and that looking for ranks takes nothing from them."""
import fcntl
import importlib.machinery
import importlib.util
import itertools
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
loader = importlib.machinery.SourceFileLoader('chaos', str(ROOT / 'scripts/chaos'))
chaos = importlib.util.module_from_spec(importlib.util.spec_from_loader('chaos', loader))
loader.exec_module(chaos)


class StruckCluster:
    """As many ranks as it is told; nothing is really hit."""

    def __init__(self, ranks):
        self.folder, self.coordinator, self.workers = pathlib.Path('/nowhere'), StruckDaemon(), [StruckDaemon() for _ in range(3)]
        self.there = ranks

    def ranks(self):
        return [1 << 30] * self.there  # no process has such a pid


class StruckDaemon:
    def __init__(self):
        self.hits = []

    def kill(self, now, pause):
        self.hits.append(('killed', pause))

    def stop_for(self, now, seconds):
        self.hits.append(('stopped', seconds))


class Seed(unittest.TestCase):
    def struck(self, seed, ranks):
        cluster = StruckCluster(ranks)
        struck = chaos.Chaos(cluster, seed)
        struck.resumed = []
        for _ in range(300):
            struck.strike(0, next(struck.faults))
        return struck.counts, [daemon.hits for daemon in [cluster.coordinator, *cluster.workers]]

    def test_draws_the_same_faults_however_many_ranks_there_are(self):
        self.assertEqual(self.struck(7, ranks=0), self.struck(7, ranks=5))
        self.assertNotEqual(self.struck(7, ranks=0), self.struck(8, ranks=0))

    def test_draws_every_kind_of_fault(self):
        drawn = {(fault.target, fault.is_fatal) for fault in itertools.islice(chaos.faults(1), 500)}
        self.assertEqual(len(drawn), 6)

    def test_writes_the_same_graph_of_a_number(self):
        folder = pathlib.Path('/f')
        self.assertEqual(chaos.graph_text(folder, 3, 7), chaos.graph_text(folder, 3, 7))
        self.assertNotEqual(chaos.graph_text(folder, 3, 7), chaos.graph_text(folder, 3, 8))


class Ranks(unittest.TestCase):
    def test_are_found_without_touching_their_locks(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / 'locks').mkdir()
            (folder / 'rank.sh').write_text('echo here; read line')
            rank = subprocess.Popen(['sh', folder / 'rank.sh', folder, 'g1-gang', '1', 'works'], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE)
            rank.stdout.readline()  # just after exec a process has no command line yet
            (folder / 'started').write_text(f'g1-gang 4 0 {rank.pid}\ng1-left 5 0 {rank.pid}\n')
            cluster = chaos.Cluster.__new__(chaos.Cluster)
            cluster.folder = folder
            asked = []
            real, fcntl.flock = fcntl.flock, lambda *arguments: asked.append(arguments)
            try:
                self.assertEqual(cluster.ranks(), [rank.pid])
                self.assertEqual(asked, [])
            finally:
                fcntl.flock = real
                rank.communicate()
            self.assertEqual(cluster.ranks(), [])


if __name__ == '__main__':
    unittest.main()
