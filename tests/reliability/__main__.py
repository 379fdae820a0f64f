"""``python -m tests.reliability``: do all of it, and write docs/reliability.md."""

import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.reliability.bench import Bench
from tests.reliability.page import FAULTS, PATH, page


def main() -> int:
    """Write the page; 1 where something came of a fault that its case does not expect."""
    outcomes = {}
    with tempfile.TemporaryDirectory() as folder, closing(Bench(Path(folder))) as bench:
        for fault in FAULTS:
            outcomes[fault.name] = bench.try_out(fault)
            print(f"{fault.name}: {outcomes[fault.name]}", flush=True)
    PATH.write_text(page(lambda fault: outcomes[fault.name]))
    surprises = [fault for fault in FAULTS if outcomes[fault.name] != fault.outcome]
    for fault in surprises:
        print(f"{fault.name}: its case expects {fault.outcome}", file=sys.stderr)
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
