// SPDX-License-Identifier: Apache-2.0
// Runs a Verilated machine under cocotb, with the clock here instead of in a VPI callback.
//
// cocotb's own main program evaluates the whole model four times per cycle and walks the callback
// tables between; here it is twice, once per edge, as in a bare loop. Python sees the usual order:
// a RisingEdge(clk) task reads values from before the edge, and what it writes holds after it.
//
//   model [--trace FILE]

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "Vtop.h"
#include "verilated.h"
#include "verilated_vpi.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

extern "C" void vlog_startup_routines_bootstrap(void);

namespace {

constexpr uint64_t HALF_PERIOD = 5000;  // in time steps of 1 ps

uint64_t now = 0;
Vtop *top = nullptr;
#if VM_TRACE
VerilatedVcdC *trace = nullptr;
#endif

void settle() {
    while (VerilatedVpi::callValueCbs()) {
    }
}

void evaluate() {
    settle();  // the new clock level, everything else as it was
    do {
        do {
            top->eval_step();
            VerilatedVpi::clearEvalNeeded();
            VerilatedVpi::doInertialPuts();
            settle();
        } while (VerilatedVpi::evalNeeded());
        VerilatedVpi::callCbs(cbReadWriteSynch);
        VerilatedVpi::doInertialPuts();
        settle();
    } while (VerilatedVpi::evalNeeded());
    top->eval_end_step();
    VerilatedVpi::callCbs(cbReadOnlySynch);
#if VM_TRACE
    if (trace) trace->dump(now);
#endif
}

void step() {
    now += HALF_PERIOD;
    Verilated::time(now);
    top->clk = !top->clk;
    VerilatedVpi::callCbs(cbNextSimTime);
    VerilatedVpi::callTimedCbs();
    settle();
    evaluate();
}

}  // namespace

// Runs the model for some cycles in its present state with nothing but the clock, and returns the
// seconds that took: the yardstick of `blindvisor bench sim`. Called from Python, so at a rising
// edge whose level is set and not yet evaluated, and it leaves it so.
extern "C" double blindvisor_bare_loop(uint64_t cycles) {
    const auto begin = std::chrono::steady_clock::now();
    for (uint64_t cycle = 0; cycle < cycles; ++cycle) {
        top->clk = 1;
        top->eval();
        top->clk = 0;
        top->eval();
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    top->clk = 1;
    return taken.count();
}

double sc_time_stamp() { return now; }

int main(int argc, char **argv) {
    const char *file = nullptr;
    for (int i = 1; i + 1 < argc; ++i) {
        if (!std::strcmp(argv[i], "--trace")) file = argv[i + 1];
    }
    Verilated::commandArgs(argc, argv);
    Verilated::fatalOnVpiError(false);  // cocotb probes for names that need not exist
    top = new Vtop("");
#if VM_TRACE
    Verilated::traceEverOn(true);
    if (file) {
        trace = new VerilatedVcdC;
        top->trace(trace, 99);
        trace->open(file);
    }
#else
    if (file) {
        std::fprintf(stderr, "this model was built without trace\n");
        return 2;
    }
#endif
    vlog_startup_routines_bootstrap();
    VerilatedVpi::callCbs(cbStartOfSimulation);
    evaluate();
    while (!Verilated::gotFinish()) step();
    top->final();
    VerilatedVpi::callCbs(cbEndOfSimulation);
#if VM_TRACE
    if (trace) trace->close();
#endif
    return Verilated::threadContextp()->errorCount() > 0;
}
