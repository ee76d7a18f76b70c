"""Flower apps beside the data: somebody else's programs, approved by hash, shut in, and believed nothing.

Which app may run was said by the holder: by its hash, in the policy file or by an officer's hand. Whatever
it does, nothing of it leaves but what the node makes of its replies.

    bundles      the bundles that the holder has
    approval     which of them may run, for whom, over what
    overrides    what a job may change in an app's configuration
    officers     what a person decides; readiness says what is missing
    host         which app may run for a job, and how it is started
    running      those that do: one for each open job, and what it keeps between rounds
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
