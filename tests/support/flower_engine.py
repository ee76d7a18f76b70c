"""Flower's own simulation, the engine behind `flwr run`, as a program: FOLDER NODES KEY=VALUE …

It needs Ray, which is no dependency of Kapok's. What the app prints is what it gives.
"""

import sys
from dataclasses import replace
from pathlib import Path

import kapok.flower  # noqa: F401  telemetry is off before flwr is imported

from flwr.app import Context, RecordDict  # isort: skip
from flwr.common.config import get_fused_config_from_dir, parse_config_args  # isort: skip
from flwr.simulation.run_simulation import _run_simulation  # isort: skip
from flwr.supercore.constant import NOOP_FEDERATION_ID  # isort: skip
from flwr.supercore.run import Run  # isort: skip
from flwr.supercore.task_identity import TaskIdentity  # isort: skip
from flwr.supercore.telemetry import EventType  # isort: skip


def main(folder: str, nodes: str, *overrides: str) -> None:
    """Run an app over so many nodes."""
    given = parse_config_args(list(overrides), flatten=True)
    run = replace(Run.create_empty(7), override_config=given, federation_id=NOOP_FEDERATION_ID)
    run.primary_task_id = 1
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 7, 1, 1
    config = get_fused_config_from_dir(Path(folder), given)
    _run_simulation(
        num_supernodes=int(nodes),
        exit_event=EventType.PYTHON_API_RUN_SIMULATION_LEAVE,
        server_app_attr="clinic.server_app:app",
        client_app_attr="clinic.client_app:app",
        server_app_context=Context(7, 1, {}, RecordDict(), config),
        backend_config={"client_resources": {"num_cpus": 1}, "init_args": {"num_cpus": 2}},
        app_dir=folder,
        run=run,
        is_app=True,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
