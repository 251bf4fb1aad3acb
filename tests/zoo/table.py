# SPDX-License-Identifier: Apache-2.0
"""What the judge found, as the Markdown of docs/evidence.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Result = dict[str, Any]


def share(of: Result) -> str:
    """10/12 (52-98%)"""
    if not of["of"]:
        return ""
    low, high = of["interval"]
    return f"{of['hits']}/{of['of']} ({100 * low:.0f}-{100 * high:.0f}%)"


def number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def case_line(key: str, case: Result) -> str:
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(case["verdicts"].items()))
    cells = [key, str(case["models"]), verdicts, share(case["found"]), share(case["derived"]),
             share(case["nearest"]), str(case["false_links"]), share(case["direction"]),
             share(case["layers"]), number(case["weakest_log10_p"], 1)]
    return "| " + " | ".join(cells) + " |"


def merge_line(key: str, case: Result) -> str:
    cells = [key, str(case["models"]), number(case["f1"]), share(case["whole_set"]),
             number(case["share_error"], 3), share(case["missing_right"])]
    return "| " + " | ".join(cells) + " |"


def null_lines(name: str, null: Result) -> list[str]:
    observed = " / ".join(str(count) for count in null["observed"][:9])
    expected = " / ".join(f"{count:.0f}" for count in null["expected"][:9])
    rejected = "; ".join(f"{alpha}: {seen} (at most {most:.0f} expected, p of excess {excess:.2g})"
                         for alpha, (seen, most, excess) in null["rejections"].items())
    return [f"**{name}**: {null['blocks']} blocks of 16 units of trained models that have nothing in common. "
            f"Units in their own place, 0 to 8: seen {observed}; the law says {expected}; "
            f"chi-square p {null['chi_square_p']:.2g}. Blocks at or below a p of {rejected}. "
            f"Kolmogorov-Smirnov on the p drawn between neighbouring values: p {null['ks_p']:.2g}.", ""]


def write_table(path: Path, judged: Result) -> None:
    total, pairs = judged["total"], judged["pairs"]
    trained = pairs["trained_roots"]
    false, roots, every = total["false_links"], total["false_links_of_roots"], pairs["all_models"]
    lines = [
        "## Measured on the zoo",
        f"{total['traces']} traces against registries of {judged['registries']['roots']} and "
        f"{judged['registries']['relatives']} models. Rates with exact 95% intervals.", "",
        f"- False links in traces: {false['hits']} of {false['of']} pairs of a model and an unrelated entry "
        f"(rate below {false['interval'][1]:.1e}); of those, roots among roots: {roots['hits']} of "
        f"{roots['of']}. Pairs share models.",
        f"- All pairs tested without a search, at p 1e-6: {every['false_links']} of {every['pairs']}; "
        f"trained roots alone {trained['false_links']} of {trained['pairs']} (rate below "
        f"{trained['rate_below_with_95_percent']:.1e} with 95% confidence); never-trained starts "
        f"{pairs['untrained_roots']['false_links']} of {pairs['untrained_roots']['pairs']}.",
        f"- Models of different families that were started from one seed hold equal random numbers where "
        f"shapes agree; {total['same_seed']['hits']} of {total['same_seed']['of']} such pairs were linked. "
        f"They share a start, and are counted neither as right nor as false.",
        f"- Direction: {share(total['direction'])} right where one was given; it was left open in "
        f"{total['direction_asked'] - total['direction']['of']} of {total['direction_asked']} links.", "",
        "| case | models | verdicts | found | derived | nearest is a parent | false links | direction "
        "right | layers right | weakest log10 p |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(case_line(key, case) for key, case in judged["cases"].items()), "",
        "| merge | models | parents F1 | whole set right | mean share error | missing parent said rightly |",
        "|---|---|---|---|---|---|",
        *(merge_line(key, case) for key, case in judged["cases"].items() if case["f1"] is not None), "",
        "| family | pairs of roots | false links |", "|---|---|---|",
        *(f"| {family} | {one['pairs']} | {one['false_links']} |"
          for family, one in pairs["same_family"].items()), "",
    ]
    for codes in ("rows", "tokens"):
        if f"null_of_{codes}" in pairs:
            lines += null_lines(f"The null, by {codes}", pairs[f"null_of_{codes}"])
    path.write_text("\n".join(lines))
