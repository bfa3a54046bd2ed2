"""Waiting for processes that are not our children."""

import os
import select


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
