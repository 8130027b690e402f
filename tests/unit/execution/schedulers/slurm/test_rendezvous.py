"""Where processes meet, and that one alone meets nobody."""

import os
import socket
import subprocess
import sys

from caebench.execution.schedulers.slurm.rendezvous import PORTS, port


def test_every_slice_has_a_port_of_its_own_below_those_of_outgoing_connections():
    ports = {port(f"{number}", f"{restart}") for number in range(20) for restart in range(5)}
    assert len(ports) > 90 and ports <= set(PORTS) and max(PORTS) < 32768
    assert port("12_3", "1") == port("12_3", "1") != port("12_3", "2")


def test_a_process_alone_needs_no_port():
    """With the port of its group taken, as on a node that many jobs share."""
    alone = (
        "from caebench.training.distributed import join_group; group = join_group('cpu'); print(group.size, group.rank)"
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(taken.getsockname()[1])}
        done = subprocess.run(
            [sys.executable, "-c", alone], env=os.environ | place, capture_output=True, text=True, check=True
        )
    assert done.stdout.split() == ["1", "0"]
