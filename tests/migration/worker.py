"""What the tests run in processes of their own, to be killed: ``worker.py ACTION ROOT HOME STEP [TIMESTAMP]``.

STEP is the number of the step at which the process kills itself, counted from 0; -1 for none. Every step is named on
stdout as it comes.
"""

import os
import signal
import sys

from rustybt.data.bundles.store import BundleStore
from rustybt.data.migration.rollback import roll_back
from rustybt.data.migration.run import Migration


def steps(fatal):
    seen = 0

    def on_step(name):
        nonlocal seen
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()
        if seen == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    return on_step


def main(action, root, home, fatal, timestamp=None):
    on_step = steps(int(fatal))
    with BundleStore(home) as store:
        if action == "migrate":
            Migration(store, root, on_step=on_step).run()
        else:
            roll_back(timestamp, store=store, on_step=on_step)


if __name__ == "__main__":
    main(*sys.argv[1:])
