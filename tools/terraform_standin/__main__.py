"""`python -m tools.terraform_standin check|install|variables`."""

import os
import sys

from tools.terraform_standin.cache import Unobtainable, installed
from tools.terraform_standin.check import check
from tools.terraform_standin.variables import write_tables

REQUIRE = "POINTSMAN_REQUIRE_TERRAFORM"
"""Set to 1: what is left out is a failure, as in CI."""


def main() -> int:
    match sys.argv[1:]:
        case ["check"]:
            return _check()
        case ["install"]:
            try:
                sys.stdout.write(f"{installed()}\n")
            except Unobtainable as error:
                sys.exit(f"error: {error}")
            return 0
        case ["variables"]:
            write_tables()
            return 0
    sys.stderr.write(f"{__doc__}\n")
    return 2


def _check() -> int:
    failed = False
    required = os.environ.get(REQUIRE) == "1"
    for name, skipped, faults in check():
        optional = name == "checkov"
        failed |= bool(faults) or (bool(skipped) and required and not optional)
        sys.stdout.write(f"{'skipped' if skipped else 'FAILED' if faults else 'ok':8}{name}")
        sys.stdout.write(f": {skipped}\n" if skipped else "\n")
        sys.stdout.writelines(f"        {fault}\n" for fault in faults)
        sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
