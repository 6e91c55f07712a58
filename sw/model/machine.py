# SPDX-License-Identifier: Apache-2.0
"""The machine below the monitor: clusters, channels, and time."""

from blindvisor.hdl.abi import ChannelKind, ClusterState
from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.model.channels import AttestChannel, Channel, Reporter
from blindvisor.sw.model.cluster import Cluster
from blindvisor.sw.model.rv32 import Decoder

__all__ = ["CYCLES_PER_INSTRUCTION", "QUANTUM", "Machine"]

CYCLES_PER_INSTRUCTION = 4
"""What a core of the real machine needs on average, so that timers mean about the same."""

QUANTUM = 8
"""Instructions that a core executes before it is the next one's turn."""


class Machine:
    """Clusters by mesh coordinates, channels by number.

    Timing is not that of the hardware: a core executes an instruction every
    :data:`CYCLES_PER_INSTRUCTION` cycles, and no access takes time.

    Members
    -------
    reporter : :data:`~blindvisor.sw.model.channels.Reporter`
        Who makes reports: the monitor, once there is one.
    """

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        decoder = Decoder(multiply=config.multiply)
        self.channels = [
            Channel(
                ChannelKind.TTY if n < config.tty_channels else ChannelKind.MAILBOX,
                config.channel_depth,
            )
            for n in range(config.tty_channels + config.mailbox_channels)
        ]
        self.reporter: Reporter = lambda vm, nonce: None
        self.channels += [
            AttestChannel(lambda vm, nonce: self.reporter(vm, nonce))
            for _ in range(config.attest_channels)
        ]
        self.clusters = [
            Cluster(machine=self, config=config, decoder=decoder, x=x, y=y)
            for y in range(config.height)
            for x in range(config.width)
        ]
        self._debt = 0

    def cluster(self, x: int, y: int) -> Cluster:
        """Return the cluster at mesh coordinates."""
        return self.clusters[y * self.config.width + x]

    def advance(self, cycles: int) -> None:
        """Let all running VMs run; rests of a quantum are kept for the next time."""
        if cycles < 0:
            raise ValueError(f"cycles must not be negative, not {cycles}")
        running = [item for item in self.clusters if item.state is ClusterState.RUNNING]
        step = QUANTUM * CYCLES_PER_INSTRUCTION
        quanta, self._debt = divmod(self._debt + cycles, step)
        for _ in range(quanta if running else 0):
            for cluster in running:
                for core in cluster.cores:
                    core.run(QUANTUM)
            for cluster in running:
                cluster.time += step
