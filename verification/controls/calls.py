# SPDX-License-Identifier: Apache-2.0
"""Planted faults in how calls are checked and told apart, and in what a load compares."""

from blindvisor.verification.controls.plant import Edit, Fault

__all__ = ["CALL_FAULTS"]

CALL_FAULTS = (
    Fault(
        name="vm-number-wraps",
        promises=("P4", "P8"),
        breaks="numbers of VMs are compared without their high bits",
        edits=(
            Edit(
                "iocluster/checks.py",
                "return (word == 0) | (word > config.vms)",
                "return (word[:8] == 0) | (word[:8] > config.vms)",
            ),
        ),
    ),
    Fault(
        name="channel-number-wraps",
        promises=("P8", "P10"),
        breaks="CHANNEL_REVOKE compares a channel's number without its high bits",
        edits=(
            Edit(
                "iocluster/checks.py",
                "(arg0 >= config.channels, Result.BAD_CHANNEL),\n                (row.owner == 0,",
                "(arg0[:4] >= config.channels, Result.BAD_CHANNEL),"
                "\n                (row.owner == 0,",
            ),
        ),
    ),
    Fault(
        name="busy-takes-commands",
        promises=("P8",),
        breaks="a command is answered well while another call runs, and forgotten",
        edits=(
            Edit(
                "iocluster/port.py",
                "m.d.comb += [taken.eq(~calls.busy), calls.start.eq(~calls.busy)]",
                "m.d.comb += [taken.eq(1), calls.start.eq(~calls.busy)]",
            ),
        ),
    ),
    Fault(
        name="destroy-rereads",
        promises=("P3", "P6"),
        breaks="VM_DESTROY reads its argument again after it was checked",
        edits=(
            Edit(
                "iocluster/sequences.py",
                'm.d.sync += channel.eq(0)\n            m.next = "TAKE_CHANNELS"',
                "m.d.sync += [channel.eq(0), self.vm.eq(self.calls.arguments[0])]"
                '\n            m.next = "TAKE_CHANNELS"',
            ),
        ),
    ),
    Fault(
        name="epoch-ignored",
        promises=("P7",),
        breaks="the numbers of saves are counted from 0 after each reset",
        edits=(
            Edit(
                "loader/savenumber.py",
                "self.number.eq(Cat(self.epoch, count)),",
                "self.number.eq(Cat(self.epoch & 0, count)),",
            ),
        ),
    ),
    Fault(
        name="shape-unchecked",
        promises=("P6",),
        breaks="the loader takes an image of any width and height",
        edits=(
            Edit(
                "loader/header.py",
                "with m.If(there & (value != size)):",
                "with m.If(there & (value != size) & (value == 0)):",
            ),
        ),
    ),
    Fault(
        name="load-time-of-key",
        promises=("P7",),
        breaks="the loader waits before the contents with one half of all VM keys",
        edits=(
            Edit(
                "loader/sharing.py",
                "    m.d.comb += aes.key.eq(key)\n",
                "    m.d.comb += aes.key.eq(key)\n    s.cipher_key = key\n",
            ),
            Edit(
                "loader/loader.py",
                "            m.d.comb += [s.gcm.start.eq(1), s.writer.begin.eq(~s.save),"
                " s.reader.begin.eq(s.save)]\n"
                "            m.d.sync += s.index.eq(0)\n"
                "            s.go(Phase.AUTHENTICATE)\n",
                "            late = Signal(6)\n"
                "            with m.If(s.cipher_key[0] & ~late[5]):\n"
                "                m.d.sync += late.eq(late + 1)\n"
                "            with m.Else():\n"
                "                m.d.comb += [s.gcm.start.eq(1), s.writer.begin.eq(~s.save),"
                " s.reader.begin.eq(s.save)]\n"
                "                m.d.sync += [s.index.eq(0), late.eq(0)]\n"
                "                s.go(Phase.AUTHENTICATE)\n",
            ),
        ),
    ),
    Fault(
        name="tags-unchecked",
        promises=("P6",),
        breaks="the loader accepts keys and contents whatever their tags are",
        edits=(
            Edit(
                "loader/loading.py",
                "            with m.If(~gcm.match):\n                s.end(Result.IMAGE_KEY)\n",
                "",
            ),
            Edit(
                "loader/loading.py",
                "            with m.If(~gcm.match):\n                s.end(Result.IMAGE_TAG)\n",
                "",
            ),
        ),
    ),
)
"""The monitor's, then the loader's."""
