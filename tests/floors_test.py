"""Tests of floors.py: `python3 -m unittest discover --start-directory tests --pattern floors_test.py`."""

import unittest

import floors


def scenario(kind="fault", trouble="", must_say=(), **more):
    return {"kind": kind, "trouble": trouble, "expected": {"must_say": list(must_say)}, "score": {}, **more}


class FloorsTest(unittest.TestCase):
    def test_a_scenario_that_broke_counts_nowhere(self):
        results = [scenario(trouble="unknown key"), scenario("control", trouble="unknown key")]
        self.assertEqual(set(floors.lab_figures(results).values()), {0})

    def test_the_lab_is_counted(self):
        results = [
            scenario(score={"fault": True, "cause": True, "client": True, "log": True, "said": None}),
            scenario(score={"fault": True, "cause": False, "client": True, "log": False, "said": True}, must_say=["3000"],
                     leaked=["10.50.0.21"]),
            scenario(avoided=True),
            scenario("control", ok=True),
            scenario("control", ok=False),
        ]
        self.assertEqual(floors.lab_figures(results), {
            "fault": 3, "cause": 2, "said": 1, "client": 3, "log": 2, "healthy": 1, "leaks": 1, "disturbed": 1})

    def test_the_time_of_day_is_no_port(self):
        pattern = r"(:|\bport )25\b"
        for visitor, leaks in [
            ("at 02:26:25 UTC", []),
            ("at 02:25:44 UTC", []),
            ("an earlier answer came at 25, this at 02:26:28", []),
            ("at 02:26:24, and the page's text was not kept", [pattern]),
            ("at 02:26:40 UTC", [pattern]),
            ("at 02:25:07, port 25", [pattern]),
            ("10.0.0.1:25", [pattern]),
            ("", [pattern]),
        ]:
            self.assertEqual(floors.leaked(scenario(leaked=[pattern], raw={"visitor": visitor})), leaks, visitor)
        self.assertEqual(floors.leaked(scenario(leaked=["10.50.0.21"], raw={"visitor": "02:26:25"})), ["10.50.0.21"])

    def test_a_battery_is_counted(self):
        def case(passed, strict, verdict):
            return {"passed": passed, "strict": strict, "detail": {"verdict": verdict}}
        results = [case(True, True, "rejected"), case(True, False, "passed-through"), case(False, False, "passed-through"),
                   case(False, False, "DANGEROUS")]
        self.assertEqual(floors.battery_figures(results, "thread 'x' panicked at a.rs:1\n"), {
            "passed": 2, "strict": 1, "dangerous": 1, "garbage": 1, "panics": 1})

    def test_a_figure_beyond_its_limit_fails(self):
        table = [
            ({"least": {"a": 2}}, {"a": 2}, True, "ok"),
            ({"least": {"a": 2}}, {"a": 3}, True, "ok, and tests/floors.toml could say 3"),
            ({"least": {"a": 2}}, {"a": 1}, False, "NO"),
            ({"least": {"a": 0}}, {}, False, "NO"),
            ({"most": {"a": 0}}, {"a": 0}, True, "ok"),
            ({"most": {"a": 0}}, {"a": 1}, False, "NO"),
        ]
        for limits, figures, expected, note in table:
            (line,), well = floors.compare({"x": limits}, {"x": figures})
            self.assertEqual((well, line.endswith("  " + note)), (expected, True), line)

    def test_what_was_not_measured_is_said_and_does_not_fail(self):
        self.assertEqual(floors.compare({"lab": {"least": {"fault": 1}}}, {}), (["lab        was not measured"], True))


if __name__ == "__main__":
    unittest.main()
