"""What scripts/first_light.py says of a run's log: a step that is missing anywhere is a problem, also at either end."""
import json
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'scripts'))
import first_light


class CheckRun(unittest.TestCase):
    def problems_of(self, steps, losses=(5.0, 4.0), asked_for=6):
        with tempfile.TemporaryDirectory() as folder:
            run, checkpoint = pathlib.Path(folder), pathlib.Path(folder) / 'step-6'
            checkpoint.mkdir()
            manifest = {'step': 6, 'state': {'options': {'schedule': {'steps': asked_for}}}}
            (checkpoint / 'manifest.json').write_text(json.dumps(manifest))
            (run / 'metrics.jsonl').write_text(''.join(json.dumps({'step': step}) + '\n' for step in steps))
            (run / 'heldout.jsonl').write_text(''.join(json.dumps({'loss': loss}) + '\n' for loss in losses))
            problems = []
            first_light.check_run(run, checkpoint, problems)
            return problems

    def test_every_step_once_and_in_order_is_right(self):
        self.assertEqual(self.problems_of([1, 2, 3, 4, 5, 6]), [])

    def test_a_log_that_starts_late_or_ends_early_is_wrong(self):
        for steps in ([2, 3, 4, 5, 6], [1, 2, 3, 4, 5], [], [1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 4, 5, 6]):
            self.assertEqual(len(self.problems_of(steps)), 1, steps)

    def test_gaps_and_steps_twice_are_wrong(self):
        for steps in ([1, 2, 4, 5, 6], [1, 2, 2, 3, 4, 5, 6], [1, 3, 2, 4, 5, 6]):
            self.assertEqual(len(self.problems_of(steps)), 1, steps)

    def test_a_held_out_loss_has_to_fall(self):
        self.assertEqual(len(self.problems_of([1, 2, 3, 4, 5, 6], losses=(4.0, 4.0))), 1)


if __name__ == '__main__':
    unittest.main()
