# SPDX-License-Identifier: Apache-2.0
"""Planted faults of the loader, its save numbers and the store."""

from blindvisor.verification.controls.plant import Edit, Fault

__all__ = ["LOADER_FAULTS"]

LOADER_FAULTS = (
    Fault(
        name="save-number-twice",
        promises=("P7",),
        breaks="the count of saves stays where it is, and every save has the same key and nonce",
        edits=(
            Edit(
                "loader/savenumber.py",
                "m.d.sync += count.eq(count + 1)",
                "m.d.sync += count.eq(count | 1)",
            ),
        ),
    ),
    Fault(
        name="save-number-unasked",
        promises=("P7",),
        breaks="a machine without an epoch saves",
        edits=(
            Edit(
                "loader/savenumber.py",
                "self.available.eq(self.epoch_valid & ~count.all()),",
                "self.available.eq(~count.all()),",
            ),
        ),
    ),
    Fault(
        name="old-state-accepted",
        promises=("P6",),
        breaks="a saved state is restored whatever its generation is",
        edits=(
            Edit(
                "loader/loading.py",
                "check.saved & (check.generation < versions.generation)",
                "check.saved & Const(0)",
            ),
        ),
    ),
    Fault(
        name="fork-accepted",
        promises=("P6",),
        breaks="a slot is saved though another slot's VM of its identity was saved since",
        edits=(
            Edit(
                "loader/saving.py",
                "            s.records.line != s.versions.generation\n",
                "            Const(0)\n",
            ),
        ),
    ),
    Fault(
        name="old-version-accepted",
        promises=("P6",),
        breaks="an image is loaded whatever its security version is",
        edits=(
            Edit(
                "loader/loading.py",
                "older = (check.security_version < versions.version) | (",
                "older = Const(0) | (",
            ),
        ),
    ),
    Fault(
        name="save-any-state",
        promises=("P1", "P8"),
        breaks="VM_SAVE takes a VM in any state",
        edits=(
            Edit(
                "iocluster/checks.py",
                "refuse((bad_vm(arg0), Result.BAD_VM), (state != needed, Result.WRONG_STATE)),",
                "refuse((bad_vm(arg0), Result.BAD_VM),"
                " ((state != needed) & (call is not Call.VM_SAVE), Result.WRONG_STATE)),",
            ),
        ),
    ),
    Fault(
        name="double-fetch",
        promises=("P6",),
        breaks="the header that is authenticated is fetched from STAGING a second time",
        edits=(
            Edit(
                "loader/loader.py",
                "reading = (s.phase == Phase.HEADER) | (s.phase == Phase.WRITE)\n",
                "again = (s.phase == Phase.AUTHENTICATE) & ~s.save\n"
                "        reading = (s.phase == Phase.HEADER) | (s.phase == Phase.WRITE) | again\n",
            ),
            Edit("loader/loader.py", "m.If(gather.filled):", "m.If(gather.filled & ~again):"),
            Edit(
                "loader/loader.py",
                "s.gcm.source.valid.eq(~s.save | s.scatter.blocks.ready),",
                "s.gcm.source.valid.eq("
                "Mux(s.save, s.scatter.blocks.ready, s.gather.blocks.valid)),\n"
                "                s.gather.blocks.ready.eq(~s.save & s.gcm.source.ready),",
            ),
            Edit(
                "loader/sharing.py",
                "        with m.Case(Phase.WRITE):\n",
                "        with m.Case(Phase.AUTHENTICATE), m.If(~s.save):\n"
                "            m.d.comb += source.eq(s.gather.blocks.payload)\n"
                "        with m.Case(Phase.WRITE):\n",
            ),
        ),
    ),
    Fault(
        name="row-not-kept",
        promises=("P6",),
        breaks="an ABORT between the commit of a row and its write puts zeros into the row",
        edits=(
            Edit(
                "loader/versions.py",
                "written = Cat(self.identity, kept, 1, Const(0, 63))",
                "written = Cat(self.identity, self.next_version, self.next_generation, 1,"
                " Const(0, 63))",
            ),
        ),
    ),
    Fault(
        name="line-after-row",
        promises=("P6",),
        breaks="an ABORT between the commit of a row and its end makes the VM look superseded",
        edits=(
            Edit(
                "loader/saving.py",
                "Cat(versions.commit & versions.idle, s.vm, versions.next_generation)",
                "Cat(versions.done, s.vm, versions.next_generation)",
            ),
        ),
    ),
    Fault(
        name="cipher-time-of-key",
        promises=("P7",),
        breaks="the cipher takes a round less with one half of all keys",
        edits=(
            Edit(
                "loader/aes.py",
                "left.eq(Mux(self.short, ROUNDS_128 + 1, ROUNDS_256)),",
                "left.eq(Mux(self.short, ROUNDS_128 + 1, ROUNDS_256) - self.key[0]),",
            ),
        ),
    ),
    Fault(
        name="hash-time-of-data",
        promises=("P7",),
        breaks="the hash takes a cycle more for some messages",
        edits=(
            Edit(
                "loader/sha256.py",
                "advance.eq((~filling | available | ended) & ~halted),",
                "advance.eq((~filling | available | ended) & ~(halted | (halves == 0))),",
            ),
        ),
    ),
    Fault(
        name="hash-kept",
        promises=("P7",),
        breaks="the last part of a message stays in the hash's buffer after a clear",
        edits=(
            Edit(
                "loader/sha256.py",
                "write.en.eq(written),",
                "write.en.eq(written & ((phase != _Feed.SCRUB) | (place < 4))),",
            ),
        ),
    ),
    Fault(
        name="loader-address-tells",
        promises=("P7",),
        breaks="the command that gives a cluster its address holds a word of plaintext",
        edits=(
            Edit(
                "loader/writer.py",
                'LaneOp.ADDRESS, "named": 1}).as_value()\n',
                'LaneOp.ADDRESS, "named": 1}).as_value()\n| words[:32]\n',
            ),
        ),
    ),
    Fault(
        name="loader-waits-by-key",
        promises=("P7",),
        breaks="the loader goes on only with one half of all derived keys",
        edits=(
            Edit(
                "loader/loader.py",
                "with m.If(s.kdf.done):",
                "with m.If(s.kdf.done & ~s.kdf.half[0]):",
            ),
        ),
    ),
    Fault(
        name="store-row-of-another",
        promises=("P6",),
        breaks="what is found is a row whose identity begins with the same byte",
        edits=(
            Edit(
                "loader/versions.py",
                "ours = row.valid & (row.identity == self.identity)",
                "ours = row.valid & (row.identity[:8] == self.identity[:8])",
            ),
        ),
    ),
    Fault(
        name="store-row-elsewhere",
        promises=("P6",),
        breaks="an identity's versions are written into a row that is not its own",
        edits=(
            Edit(
                "loader/versions.py",
                "with m.If(ours | (~row.valid & ~free)):",
                "with m.If(~row.valid & ~free):",
            ),
        ),
    ),
    Fault(
        name="store-read-tells",
        promises=("P6",),
        breaks="a search tells the store whose row it looks for",
        edits=(
            Edit(
                "loader/versions.py",
                "request.payload.eq(Cat(Const(0, 1), index, Const(0, STORE_ROW.size))),",
                "request.payload.eq(Cat(Const(0, 1), index, self.identity)),",
            ),
        ),
    ),
    Fault(
        name="store-row-not-kept",
        promises=("P6",),
        breaks="what is written into the store changes when the load is aborted",
        edits=(
            Edit(
                "loader/versions.py",
                "written = Cat(self.identity, kept, 1, Const(0, 63))",
                "written = Cat(self.identity, self.next_version, self.next_generation, 1)",
            ),
        ),
    ),
    Fault(
        name="store-not-durable",
        promises=("P6",),
        breaks="a save goes on when the store has taken its row, not when the row is durable",
        edits=(
            Edit(
                "loader/versions.py",
                "m.d.sync += phase.eq(_Phase.WRITE)",
                "m.d.sync += [self.done.eq(1), phase.eq(_Phase.WRITE)]",
            ),
        ),
    ),
)
"""In the order of the design's parts."""
