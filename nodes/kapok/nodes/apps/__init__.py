"""Flower apps beside the data: somebody else's programs, approved by hash, shut in, and believed nothing.

limits       what an app may use of the machine
environment  the Python environment that apps run in
sandbox      the room: bubblewrap, and what is seen from inside
seccomp      the system calls that are forbidden there
partition    the approved columns, written for the app to read
process      an app at work: messages in, replies out
watch        the thread that it lives and dies with
endings      how it ends, and what is said of that
inside       what runs in the room beside the app
"""

from kapok.nodes.apps.limits import AppLimits
from kapok.nodes.apps.partition import write_partition
from kapok.nodes.apps.process import AppProcess, AppTask, Isolation, start_app

__all__ = ["AppLimits", "AppProcess", "AppTask", "Isolation", "start_app", "write_partition"]
