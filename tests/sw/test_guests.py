# SPDX-License-Identifier: Apache-2.0
"""The committed guests: what they are made of, and what they print on the model of the machine."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from blindvisor.hdl.abi import ClusterState
from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.guests import build, expected
from blindvisor.sw.image.elf import read_guest
from blindvisor.sw.model.cluster import Rectangle
from blindvisor.sw.model.machine import Machine

OWNER = 1
TTY, MAILBOX = 0, 1  # physical channels, and guest channels
GUESTS = [source.stem for source in build.sources()]
needs_compiler = pytest.mark.skipif(
    build.compiler_version() != build.COMPILER_VERSION,
    reason=f"the guests are built with ziglang {build.COMPILER_VERSION},"
    f" installed is {build.compiler_version()}",
)


class Vm:
    """A VM that fills the model, loaded past the monitor."""

    def __init__(
        self,
        guest: str | Path,
        width: int = 1,
        height: int = 1,
        *,
        cores: int = 1,
        channels: Iterable[int] = (TTY,),
    ) -> None:
        path = guest if isinstance(guest, Path) else build.BIN / f"{guest}.elf"
        config = MachineConfig(
            name="test", width=width, height=height, cores=cores, tty_channels=1, mailbox_channels=1
        )
        self.machine = Machine(config)
        memories = read_guest(path, width=width, height=height, memory_bytes=config.memory_bytes)
        rectangle = Rectangle(x=0, y=0, width=width, height=height)
        for cluster, content in zip(self.machine.clusters, memories, strict=True):
            cluster.claim(OWNER, rectangle)
            for at in range(0, len(content), 4):
                cluster.memory[at // 4] = int.from_bytes(content[at : at + 4], "little")
            cluster.channels = {channel: channel for channel in channels}
            cluster.state = ClusterState.RUNNING
        for channel in channels:
            self.machine.channels[channel].give(OWNER, channel)

    @property
    def printed(self) -> str:
        return self.machine.channels[TTY].printed.decode()

    def type(self, text: str) -> None:
        tty = self.machine.channels[TTY]
        tty.typed.extend(text.encode())
        tty.refill()

    def run_until(self, end: str, *, cycles: int = 4_000_000) -> str:
        """Run until the last line starts with ``end``; fail after ``cycles``."""
        for _ in range(cycles // 4096):
            self.machine.advance(4096)
            lines = self.printed.split("\n")
            if len(lines) > 1 and lines[-2].startswith(end):
                return self.printed
        raise AssertionError(f"no line {end!r} within {cycles} cycles, but: {self.printed!r}")

    def run(self, *, cycles: int = 4_000_000) -> list[str]:
        """Run to the end; return the lines."""
        return self.run_until("[exit ", cycles=cycles).splitlines()


@needs_compiler
@pytest.mark.parametrize("guest", GUESTS)
def test_a_rebuilt_guest_is_the_committed_one(guest: str, tmp_path: Path) -> None:
    output = tmp_path / "some other name.elf"
    build.build(build.GUESTS / f"{guest}.c", output)
    assert output.read_bytes() == (build.BIN / f"{guest}.elf").read_bytes()


def test_every_guest_is_committed_and_nothing_else() -> None:
    assert sorted(path.stem for path in build.BIN.iterdir()) == GUESTS


@pytest.mark.parametrize("guest", GUESTS)
def test_a_guest_is_small_and_says_nothing_of_where_it_was_built(guest: str) -> None:
    path = build.BIN / f"{guest}.elf"
    assert path.stat().st_size < 12 * 1024
    content = path.read_bytes()
    for word in (b"/tmp", b"/home", b"/work", b"clang", b"zig", b".c\0"):
        assert word not in content, word
    with path.open("rb") as file:
        (segment,) = ELFFile(file).iter_segments("PT_LOAD")
        assert segment["p_memsz"] <= 16 * 1024 - 3 * 1024  # 1 KiB more of stack for each core
        names = {section.name for section in ELFFile(file).iter_sections()}
    assert names <= {"", ".text", ".rodata", ".data", ".bss", ".shared", ".stack", ".shstrtab"}


@pytest.mark.parametrize(("width", "height", "cores"), [(1, 1, 1), (3, 2, 1), (2, 1, 4), (1, 2, 3)])
def test_hello_hears_all_clusters(width: int, height: int, cores: int) -> None:
    clusters = width * height
    assert Vm("hello", width, height, cores=cores).run() == [
        f"hello from a VM of {width} x {height} clusters, {cores} core(s) and 16384 bytes each",
        f"{clusters} of {clusters} clusters are here",
        "[exit 0]",
    ]


@pytest.mark.parametrize(("width", "height", "cores"), [(1, 1, 1), (2, 2, 1), (3, 1, 2), (5, 4, 1)])
def test_matmul_computes_the_product(width: int, height: int, cores: int) -> None:
    lines = Vm("matmul", width, height, cores=cores).run()
    assert lines[0].startswith(f"matmul: 16 x 16 by {width * height * cores} core(s) in ")
    assert lines[1:] == [f"checksum 0x{expected.expected(width, height):08x}", "[exit 0]"]


@pytest.mark.parametrize(("width", "height", "cores"), [(1, 1, 1), (2, 2, 1), (1, 2, 3)])
def test_attacker_makes_all_its_tries_and_all_trap(width: int, height: int, cores: int) -> None:
    lines = Vm("attacker", width, height, cores=cores).run(cycles=8_000_000)
    tries = expected.attacker_tries(width, height, cores)
    assert lines[:-2] == [f"{name}: {n} tried, {n} trapped, 0 leaked" for name, n in tries.items()]
    assert lines[-2].startswith("denied by the SMMUs: ")
    assert lines[-1] == "[exit 0]"


def test_attacker_tells_what_leaked() -> None:
    # Control: it was given a channel that it takes for somebody else's.
    vm = Vm("attacker", channels=(TTY, MAILBOX))
    lines = vm.run(cycles=8_000_000)
    where = lines.index("  first leak at 0xffc10000")
    assert lines[where - 1].startswith("other channels: 378 tried, ")
    assert not lines[where - 1].endswith(" 0 leaked")
    assert lines[-1] == "[exit 1]"


@pytest.mark.parametrize(("width", "cores"), [(1, 1), (2, 4)])
def test_bench_prints_the_right_checksum(width: int, cores: int) -> None:
    lines = Vm("bench", width, cores=cores).run()
    assert lines[-3].startswith("bench: 2 rounds in ")
    assert lines[-2:] == [f"checksum 0x{expected.bench_checksum():08x}", "[exit 0]"]


@pytest.mark.parametrize(("width", "height", "cores"), [(1, 1, 1), (2, 2, 1), (2, 1, 2)])
def test_interrupts_of_all_kinds_are_taken(width: int, height: int, cores: int) -> None:
    total = width * height * cores
    assert Vm("interrupts", width, height, cores=cores).run() == [
        "timer interrupt: seen",
        "software interrupt: seen",
        f"{total} of {total} cores answered",
        "channel interrupt: seen",
        "[exit 0]",
    ]


def test_echo_answers_lines_and_ends_at_exit() -> None:
    vm = Vm("echo", 2)
    vm.run_until("echo: ready")
    long = "x" * 200
    vm.type(f"hello there\n\n{long}\nexit not yet\nexit\n")
    assert vm.run() == [
        *("echo: ready", "echo: hello there", "echo: ", f"echo: {'x' * 80}"),
        *("echo: exit not yet", "[exit 0]"),
    ]


def test_mailbox_answers_words_plus_one() -> None:
    vm = Vm("mailbox", channels=(TTY, MAILBOX))
    mailbox = vm.machine.channels[MAILBOX]
    for word, answer in ((41, 42), (0xFFFF_FFFF, 0), (0, 1)):
        mailbox.hypervisor_access(4, word)
        vm.machine.advance(40_000)
        assert mailbox.hypervisor_access(4, None) == answer
    assert vm.run() == ["mailbox: ready", "mailbox: 3 words answered", "[exit 0]"]


def test_mailbox_without_its_channel_says_so() -> None:
    assert Vm("mailbox").run() == ["mailbox: ready", "mailbox: no guest channel 1", "[exit 1]"]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 2)])
def test_victim_watches_its_secret(width: int, height: int) -> None:
    intact = f"victim: checksum 0x{expected.victim_checksum(width, height):08x} intact"
    vm = Vm("victim", width, height)
    vm.run_until(intact)
    secret = [
        int.from_bytes(expected.VICTIM_SECRET[at : at + 4], "little") for at in range(0, 16, 4)
    ]
    for cluster in vm.machine.clusters:  # also where the attacker strikes
        assert cluster.memory[0x1000 // 4] in secret
    vm.type("a")
    vm.run_until(intact)
    vm.machine.clusters[-1].memory[0x1000 // 4] ^= 1 << 31
    vm.machine.advance(200_000)
    vm.type("q")
    lines = vm.run()
    assert lines[-2].endswith(" CHANGED")
    assert lines[-2] != intact
    assert lines[-1] == "[exit 1]"


def test_victim_never_prints_its_secret() -> None:
    vm = Vm("victim")
    vm.type("aaaq")
    text = "\n".join(vm.run())
    for at in range(0, 16, 4):
        word = expected.VICTIM_SECRET[at : at + 4]
        assert word not in text.encode()
        assert f"{int.from_bytes(word, 'little'):08x}" not in text


def test_a_guest_outlives_its_tty() -> None:
    vm = Vm("victim")
    vm.run_until("victim: checksum")
    vm.machine.channels[TTY].give(0, 0)
    before = vm.printed
    vm.machine.advance(2_000_000)
    assert vm.printed == before
    vm.machine.channels[TTY].give(OWNER, TTY)
    vm.type("q")
    assert vm.run()[-1] == "[exit 0]"


@needs_compiler
def test_a_users_guest_builds_and_traps_are_reported(tmp_path: Path) -> None:
    source = tmp_path / "mine.c"
    source.write_text(
        '#include "runtime.h"\n'
        "int main(void)\n"
        "{\n"
        '\tbv_printf("%s %c %5u|%05d|%d|%08x|%x%%\\n", "text", 33, 42u, -42, -7, 0xbeefu, 0u);\n'
        "\tuint32_t n = bv_vm.memory;\n"
        '\tbv_printf("%u %u %d\\n", n / 1000, n % 1000, -(int)n / 7);\n'
        '\tbv_printf("%u\\n", (uint32_t)((uint64_t)n * n * n >> 30));\n'
        "\treturn BV_REGISTER(0x30000000);\n"
        "}\n"
    )
    assert build.main([str(source), "-o", str(tmp_path / "mine.elf")]) == 0
    lines = Vm(tmp_path / "mine.elf").run()
    assert lines[:3] == ["text !    42|-0042|-7|0000beef|0%", "16 384 -2340", "4096"]
    assert lines[3].startswith("[trap cause 0x5 pc 0xff00")
    assert lines[3].endswith(" address 0x30000000 cluster 0,0 core 0]")
    assert lines[4:] == ["[exit 255]"]


@needs_compiler
def test_what_does_not_fit_or_compile_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "bad.c"
    source.write_text("int main(void) { return nothing; }\n")
    assert build.main([str(source)]) == 1
    assert "bad.c:1:" in capsys.readouterr().err
    with pytest.raises(build.BuildError, match=r"source must be a C file, not .*absent\.c"):
        build.build(tmp_path / "absent.c", tmp_path / "out.elf")
    with pytest.raises(build.BuildError, match="output must be in a folder that exists"):
        build.build(source, tmp_path / "absent" / "out.elf")


def test_without_a_compiler_the_reason_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "compiler_version", lambda: None)
    with pytest.raises(build.BuildError, match="pip install ziglang"):
        build.build(build.GUESTS / "hello.c", tmp_path / "hello.elf")
