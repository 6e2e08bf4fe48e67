"""Tests of the arithmetic: `python3 bench/test_figures.py`. A test of `crates/bench` runs them."""

import unittest

import edits
import figures
from day import Ways


class Percentiles(unittest.TestCase):
    def test_the_nearest_rank_is_taken(self):
        values = list(range(100, 0, -1))
        self.assertEqual(figures.percentile(values, 50), 50)
        self.assertEqual(figures.percentile(values, 99), 99)
        self.assertEqual(figures.percentile(values, 100), 100)
        self.assertEqual(figures.percentile([7], 99), 7)
        self.assertEqual(figures.percentile([1, 2], 50), 1)
        with self.assertRaises(ValueError):
            figures.percentile([], 50)

    def test_ratios_say_nothing_of_nothing(self):
        self.assertEqual(figures.ratio(30, 1.5), 20)
        self.assertIsNone(figures.ratio(30, 0))


class Gaps(unittest.TestCase):
    def test_one_slot_is_idle_between_an_answer_and_the_next_request(self):
        self.assertEqual(figures.gaps([(0, 50), (51, 101), (103, 153)], 1), [1, 2])

    def test_with_two_slots_an_answer_is_paired_with_the_request_it_lets_go(self):
        requests = [(0, 50), (10, 60), (51, 101), (63, 113)]
        self.assertEqual(figures.gaps(requests, 2), [1, 3])

    def test_the_order_of_the_log_does_not_matter(self):
        requests = [(63, 113), (0, 50), (51, 101), (10, 60)]
        self.assertEqual(figures.gaps(requests, 2), [1, 3])

    def test_no_call_waits_for_a_slot_if_there_are_enough(self):
        self.assertEqual(figures.gaps([(0, 50), (0, 50)], 5), [])

    def test_the_bound(self):
        self.assertAlmostEqual(figures.bound(240, 5, 0.05), 2.4)


class Shown(unittest.TestCase):
    def test_significant_digits(self):
        self.assertEqual(figures.shown(0.01234, "ms"), "0.012 ms")
        self.assertEqual(figures.shown(1234.5), "1,234")
        self.assertEqual(figures.shown(9.96), "10.0")
        self.assertEqual(figures.shown(0), "0")
        self.assertEqual(figures.shown(None), "–")

    def test_a_table_has_a_cell_for_each_head(self):
        self.assertEqual(figures.table(["a", "b"], [["x", 1]]), "| a | b |\n|---|---:|\n| x | 1 |")
        with self.assertRaises(ValueError):
            figures.table(["a", "b"], [["x"]])

    def test_an_aim_is_met_on_its_good_side(self):
        text = figures.aims(
            [
                ("wall", 1.05, 1.05, "×", "at most"),
                ("less", 19.9, 20, "×", "at least"),
            ]
        )
        self.assertIn("| wall | at most 1.05 × | 1.05 × | yes |", text)
        self.assertIn("| less | at least 20 × | 19.9 × | **no** |", text)

    def test_only_the_named_section_is_replaced(self):
        one, other = figures.marks("one"), figures.marks("other")
        document = f"# T\n\n{one[0]}\nold\n{one[1]}\n\n{other[0]}\nkept\n{other[1]}\n"
        new = figures.with_section(document, "one", "new\n")
        self.assertIn(f"{one[0]}\n\nnew\n\n{one[1]}\n\n{other[0]}\nkept\n", new)
        self.assertNotIn("old", new)
        self.assertEqual(figures.with_section(new, "one", "new"), new)
        with self.assertRaises(ValueError):
            figures.with_section(document, "third", "x")


class OtherWays(unittest.TestCase):
    def setUp(self):
        self.ways = Ways({"a": {"F": (100, 10), "G": (200, 20)}}, {"a": (250, 30)})
        self.ways.begin({"a": "one"})

    def test_each_save_costs_every_member_or_only_new_content_does(self):
        self.ways.event({"a": "one"}, saved=["a"])
        self.assertEqual(self.ways.each_time, (2, 330))
        self.assertEqual(self.ways.by_hash, (0, 0))
        self.ways.event({"a": "two"}, saved=["a"])
        self.assertEqual(self.ways.each_time, (4, 660))
        self.assertEqual(self.ways.by_hash, (2, 330))
        self.assertEqual(self.ways.by_hash_batch, (1, 280))

    def test_content_that_was_there_before_costs_nothing_by_hash(self):
        self.ways.event({"a": "two"}, saved=["a"])
        self.ways.event({"a": "one"}, saved=["a"])
        self.assertEqual(self.ways.by_hash, (2, 330))

    def test_a_renamed_file_is_saved_under_its_new_name(self):
        self.ways.renamed("a", "b")
        self.ways.event({"b": "one"}, saved=["b"])
        self.assertEqual(self.ways.each_time, (2, 330))
        self.assertEqual(self.ways.by_hash, (0, 0))


class Edits(unittest.TestCase):
    def test_an_edit_changes_the_body_of_one_function(self):
        for language, text, name in [
            ("go", "package a\n\nfunc F() int {\n\treturn 1\n}\n", "F"),
            ("python", "def f(a):\n    '''Doc.'''\n    return a\n", "f"),
            ("javascript", "export const f = a => {\n  return a\n}\n", "f"),
            ("javascript", "export function f(a) {\n  return a\n}\n", "f"),
        ]:
            with self.subTest(text=text):
                once = edits.edited(language, text, name, 1)
                again = edits.edited(language, once, name, 2)
                self.assertEqual(len({text, once, again}), 3)
                self.assertEqual(len(again.splitlines()), len(once.splitlines()))

    def test_a_function_that_is_not_there_is_not_edited(self):
        with self.assertRaises(edits.NoPlace):
            edits.edited("go", "package a\n", "F", 1)

    def test_reformatting_keeps_every_token(self):
        for language, text in [
            ("go", "package a\n\nfunc F() int {\n\treturn 1\n}\n"),
            ("python", "import os\n\ndef f(a):\n    return a\n"),
            ("javascript", "import b from './b.js'\n\nexport const f = a => {\n  return a\n}\n"),
        ]:
            with self.subTest(language=language):
                new = edits.reformatted(text, 1)
                self.assertNotEqual(new, text)
                self.assertEqual(new.split(), text.split())
                self.assertNotEqual(edits.reformatted(new, 2), new)


if __name__ == "__main__":
    unittest.main()
