"""What runs inside the isolated process beside an app, and nowhere else.

The node never imports it: it is shown to the process as a read-only folder, and needs nothing of Kapok there.

    main           locks the process up, loads the app, answers one message at a time
    flwr_datasets  stands in for Flower's package of that name: serves the node's own partition
"""
