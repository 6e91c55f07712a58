# SPDX-License-Identifier: Apache-2.0
"""What calls of the security monitor end with, and what they change."""

from amaranth import Cat, Module, Signal
from amaranth.hdl import Assert, Cover

from blindvisor.hdl.abi import Call, Result, StatusKind
from blindvisor.verification.formal.monitor_environment import MonitorEnvironment

__all__ = ["REFUSALS", "MonitorChannelsSpec", "MonitorCodesSpec", "MonitorValuesSpec"]

REFUSALS = (
    Result.UNKNOWN_CALL,
    Result.BAD_VM,
    Result.BAD_RECTANGLE,
    Result.OCCUPIED,
    Result.WRONG_STATE,
    Result.BAD_CHANNEL,
    Result.BAD_GUEST_CHANNEL,
    Result.CHANNEL_TAKEN,
    Result.GUEST_CHANNEL_TAKEN,
    Result.BAD_ARGUMENT,
)
"""Results of calls that change nothing."""

ENDS = (
    *REFUSALS,
    Result.OK,
    Result.IMAGE_HEADER,
    Result.IMAGE_SIZE,
    Result.IMAGE_KEY,
    Result.IMAGE_TAG,
    Result.ABORTED,
    Result.CLUSTER_FAULT,
    Result.IMAGE_OLD,
    Result.STORE_FULL,
    Result.NO_NONCE,
)


class MonitorCodesSpec(MonitorEnvironment):
    """How calls end.

    Claims
    ------
    P8-CODE
        Every call that ends, ends in a documented code; unknown ones with UNKNOWN_CALL.
    """

    script = ((Call.NONE,), (Call.FAULT_CLEAR, 0))

    def elaborate(self, platform: object) -> Module:
        """Look at each result."""
        m = Module()
        seen = self._surround(m)
        known = (seen.call != 0) & (seen.call <= Call.FAULT_CLEAR.value)
        unknown = seen.result == Result.UNKNOWN_CALL
        with m.If(seen.ended):
            m.d.comb += [
                Assert(Cat(seen.result == code for code in ENDS).any(), "P8-CODE"),
                Assert(unknown == ~known, "P8-CODE"),
            ]
        m.d.comb += [
            Cover(seen.ended & unknown, "an unknown call ends"),
            Cover(seen.ended & (seen.result == Result.CLUSTER_FAULT), "a cluster disobeys"),
        ]
        return m


class MonitorValuesSpec(MonitorEnvironment):
    """When the registers change that tell something.

    Claims
    ------
    P9-VALUES
        VALUE0..VALUE3 change in STATUS alone.
    """

    script = ((Call.STATUS, StatusKind.CHANNEL.value, 1), (Call.NONE,))

    def elaborate(self, platform: object) -> Module:
        """Compare the values with those of the cycle before."""
        m = Module()
        seen = self._surround(m)
        values = seen.dut.calls.values.as_value()
        was_values = Signal(128)
        m.d.sync += was_values.eq(values)
        changed = seen.started & (values != was_values)
        with m.If(changed):
            m.d.comb += Assert(seen.call == Call.STATUS.value, "P9-VALUES")
        m.d.comb += Cover(changed, "the values change")
        return m


class MonitorChannelsSpec(MonitorEnvironment):
    """How channels change hands.

    Claims
    ------
    P10-UPDATE
        A channel never goes from one owner to another without being revoked in between.
    """

    script = (
        (Call.VM_CREATE, 1, 1, 0, 1, 1),
        (Call.CHANNEL_GRANT, 0, 1, 0),
        (Call.CHANNEL_GRANT, 1, 1, 0),
        (Call.CHANNEL_REVOKE, 0),
    )

    def elaborate(self, platform: object) -> Module:
        """Compare each update with the row that it replaces."""
        m = Module()
        seen = self._surround(m)
        update, rows = seen.dut.update, seen.rows
        for n in range(self.config.channels):
            with m.If(update.valid & (update.channel == n) & (rows[n].owner != 0)):
                m.d.comb += Assert(update.row.owner == 0, "P10-UPDATE")
        taken = seen.ended & (seen.result == Result.GUEST_CHANNEL_TAKEN)
        m.d.comb += [
            Cover(taken & (rows[0].owner == 1), "a guest channel has one meaning"),
            Cover(seen.well & (seen.call == Call.CHANNEL_REVOKE.value), "a channel is revoked"),
        ]
        return m
