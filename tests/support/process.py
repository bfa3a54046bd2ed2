"""Processes that are not our children, and what the kernel lets them do."""

import os
import select
import subprocess


def gone(pid, timeout_s=30):
    """Waits for the end of any process; False if it is still there after `timeout_s`."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))
    finally:
        os.close(descriptor)


def isolates():
    """Whether this machine lets an ordinary user make namespaces."""
    return subprocess.run(["unshare", "-Urmp", "--fork", "true"], capture_output=True).returncode == 0
