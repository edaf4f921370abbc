"""Holds what the fault lab and the batteries measured against tests/floors.toml.

Exit status: 0 where every figure is within its limits, 1 where one is not, 2 for wrong usage. Needs Python 3.11, nothing else.
"""

import argparse
import json
import pathlib
import re
import sys
import tomllib

DELIVERED = ("passed-through", "normalised")

TIME_OF_DAY = re.compile(r"\b(\d\d):(\d\d):(\d\d)\b")
PORT = r"\(:\|\\bport \)\d+\\b"  # how the lab's patterns for ports are written
ANSWERS_SPAN = 5  # seconds, from a visitor's first answer to the last one


def leaked(result):
    """What a visitor was shown of the inside. The lab looks for ports with a colon before them, and a port below 60 (SMTP's 25) stands
    in the time of day of every answer at that second or minute. The lab keeps only the beginning of the last answer, so that a find is
    not in it proves nothing: it is the clock's where the clock showed that number while the answers came, and no other find."""
    kept = result.get("raw", {}).get("visitor", "")
    shown = TIME_OF_DAY.sub("", kept)
    clock = [time for match in TIME_OF_DAY.finditer(kept) for time in times_until(match)]

    def is_clock(pattern):
        return not re.search(pattern, shown) and any(re.fullmatch(PORT, pattern) and re.search(pattern, time) for time in clock)

    return [pattern for pattern in result.get("leaked") or [] if not is_clock(pattern)]


def times_until(match):
    """The times of day of the ANSWERS_SPAN seconds that end with the one that was found."""
    hour, minute, second = map(int, match.groups())
    last = (hour * 60 + minute) * 60 + second
    return [f"{at // 3600 % 24:02}:{at // 60 % 60:02}:{at % 60:02}" for at in range(last - ANSWERS_SPAN, last + 1)]


def lab_figures(results):
    """Of the scenarios that could be played. Where it never came to the failure ("avoided"), nothing was said wrongly."""
    played = [r for r in results if not r["trouble"]]
    faults = [r for r in played if r["kind"] == "fault"]
    healthy = [r for r in played if r["kind"] == "control"]

    def right(key, rows):
        return sum(bool(r.get("avoided") or r["score"].get(key)) for r in rows)

    return {
        "fault": right("fault", faults),
        "cause": right("cause", faults),
        "said": right("said", [r for r in faults if r["expected"]["must_say"]]),
        "client": right("client", faults),
        "log": right("log", faults),
        "healthy": sum(bool(r.get("ok")) for r in healthy),
        # A visitor was shown what is the operators'.
        "leaks": sum(bool(leaked(r)) for r in faults),
        # Something that worked was not left as it was.
        "disturbed": sum(not r.get("ok") for r in healthy),
    }


def battery_figures(results, output):
    """Of one battery, from its cases and from what the proxy wrote meanwhile."""
    verdicts = [r["detail"].get("verdict") for r in results]
    return {
        "passed": sum(r["passed"] for r in results),
        "strict": sum(r["strict"] for r in results),
        # Bytes went to the upstream that two parsers could read in two ways.
        "dangerous": verdicts.count("DANGEROUS"),
        # A broken response reached the client as if it were whole.
        "garbage": sum(not r["passed"] and v in DELIVERED for r, v in zip(results, verdicts)),
        "panics": output.count("panicked at"),
    }


def compare(floors, figures):
    """What to say, and whether all is well. A figure that is not there was not reached."""
    lines, well = [], True
    for suite, limits in floors.items():
        if suite not in figures:
            lines.append(f"{suite:10} was not measured")
            continue
        for word, is_within in (("least", lambda figure, limit: figure >= limit), ("most", lambda figure, limit: figure <= limit)):
            for name, limit in limits.get(word, {}).items():
                figure = figures[suite].get(name)
                within = figure is not None and is_within(figure, limit)
                well = well and within
                if not within:
                    note = "NO"
                elif figure == limit:
                    note = "ok"
                else:
                    note = f"ok, and tests/floors.toml could say {figure}"
                lines.append(f"{suite:10} {name:10} {figure if figure is not None else 'none':>5}  at {word} {limit:>3}  {note}")
    return lines, well


def main(argv):
    parser = argparse.ArgumentParser(prog="floors.py", description="Hold what was measured against its floors.")
    parser.add_argument("--floors", type=pathlib.Path, required=True, metavar="FILE", help="tests/floors.toml")
    parser.add_argument("--lab", type=pathlib.Path, metavar="FILE", help="what `lab run --json` wrote")
    parser.add_argument("--battery", type=pathlib.Path, metavar="FILE", action="append", default=[],
                        help="what a battery's `run --json` wrote, with its log beside it; may be repeated")
    args = parser.parse_args(argv)
    figures = {}
    if args.lab:
        figures["lab"] = lab_figures(json.loads(args.lab.read_text("utf-8"))["results"])
    for results in args.battery:
        # Nothing is written where the proxy did not start or ended in the middle.
        figures[results.stem] = {}
        if results.exists():
            output = results.with_suffix(".log").read_text("utf-8", "replace")
            figures[results.stem] = battery_figures(json.loads(results.read_text("utf-8")), output)
    lines, well = compare(tomllib.loads(args.floors.read_text("utf-8")), figures)
    print("\n".join(lines))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
