#!/usr/bin/env python3
"""Whether confidence means what it says: how often the answers of a fault lab's runs were right, by how sure they were.

    ../shared/lab/lab run --proxy why502 --bin target/release/why502 --json one.json    (three times)
    tests/confidence.py one.json two.json three.json

An answer is right where its cause is the expected one; `also` counts those that honest experts would defend with the same
evidence. Answers at 0.8 to 0.9 say what they mean where eight or nine in ten are right.
"""

import json
import sys

BANDS = [(0.0, 0.4), (0.4, 0.5), (0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.01)]


def answers(paths):
    """How sure each answer was, and whether it was right, strictly and with `also`."""
    found = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            results = json.load(file)["results"]
        for result in results:
            got = result.get("got") or {}
            if result["kind"] == "fault" and not result["trouble"] and got.get("confidence") is not None:
                expected = result["expected"]
                right = got["cause"] == expected["cause"]
                found.append((got["confidence"], right, right or got["cause"] in expected["also"]))
    return found


def table(found):
    """One row a band: from, to, how many answers, how sure on average, how many right, how many with `also`."""
    rows = []
    for low, high in BANDS:
        band = [answer for answer in found if low <= answer[0] < high]
        if band:
            mean = sum(sure for sure, _, _ in band) / len(band)
            rows.append((low, min(high, 1.0), len(band), mean, sum(r for _, r, _ in band), sum(a for _, _, a in band)))
    return rows


def main(paths):
    print("stated        answers  mean   right        with also")
    for low, high, count, mean, right, also in table(answers(paths)):
        print(f"{low:.1f} to {high:.1f}  {count:8}  {mean:.2f}  {right:4} {right / count:5.0%}  {also:4} {also / count:5.0%}")


if __name__ == "__main__":
    main(sys.argv[1:])
