"""What was skipped and why: python .ci/skips.py tests.xml allowed_skips.txt

Reads pytest's --junitxml. Ends with 1 where a test was skipped for a reason that is not allowed, or where none ran.
"""

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree


def main(report: str, allowed: str) -> int:
    cases = list(ElementTree.parse(report).iter("testcase"))
    reasons = Counter(skip.get("message") for case in cases for skip in case.iter("skipped"))
    lines = Path(allowed).read_text(encoding="utf-8").splitlines()
    may_be = {line for line in lines if line and not line.startswith("#")}
    for reason, count in reasons.most_common():
        print(f"{count} skipped: {reason}{'' if reason in may_be else '  <- NOT ALLOWED'}")
    wrong = reasons.keys() - may_be
    if wrong:
        print(f"{len(wrong)} reasons are not in {allowed}: install what the tests need, or say there why not")
    return 1 if wrong or not cases else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
