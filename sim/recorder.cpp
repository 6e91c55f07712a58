// SPDX-License-Identifier: Apache-2.0
// Records signals of a Verilated model in every clock cycle, from inside of its process.
//
// Linked beside the main program (see VerilatorOptions.watched); Python calls it by its C names. The
// file begins with a line "BYTES NAME" for each signal and an empty line; then a record per cycle,
// the values one behind the other as they are in memory. A record holds what the signals were just
// before the rising edge that ends the cycle.

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "verilated.h"
#include "verilated_sym_props.h"
#include "verilated_syms.h"
#include "vpi_user.h"

namespace {

struct Source {
    const char *at;
    size_t bytes;
};

std::vector<Source> sources;
std::vector<char> record;
FILE *file = nullptr;
uint64_t left = 0;
bool listening = false;
s_vpi_value level;
s_vpi_time when;

PLI_INT32 clock_changed(p_cb_data data) {
    if (!file || !data->value->value.integer) return 0;
    char *to = record.data();
    for (const Source &source : sources) {
        std::memcpy(to, source.at, source.bytes);
        to += source.bytes;
    }
    std::fwrite(record.data(), 1, record.size(), file);
    if (--left == 0) {
        std::fclose(file);
        file = nullptr;
    }
    return 0;
}

void listen(const char *clock) {
    vpiHandle handle = vpi_handle_by_name(const_cast<char *>(clock), nullptr);
    if (!handle) return;
    s_cb_data call{};
    level.format = vpiIntVal;
    when.type = vpiSuppressTime;
    call.reason = cbValueChange;
    call.cb_rtn = clock_changed;
    call.obj = handle;
    call.time = &when;
    call.value = &level;
    vpi_register_cb(&call);
    listening = true;
}

}  // namespace

// Starts to record `cycles` cycles. `names`: "SCOPE SIGNAL" line by line. Returns 0, or the line (from
// 1 on) whose signal there is not, or -1: the file cannot be written, or no clock.
extern "C" int blindvisor_record(const char *path, const char *clock, const char *names,
                                 uint64_t cycles) {
    std::istringstream lines(names);
    std::string scope_name, name;
    std::string head;
    size_t total = 0;
    int line = 0;
    sources.clear();
    while (lines >> scope_name >> name) {
        ++line;
        const VerilatedScope *scope = Verilated::threadContextp()->scopeFind(scope_name.c_str());
        const VerilatedVar *variable = scope ? scope->varFind(name.c_str()) : nullptr;
        if (!variable) return line;
        const size_t bytes = variable->entSize();
        sources.push_back({static_cast<const char *>(variable->datap()), bytes});
        total += bytes;
        head += std::to_string(bytes) + " " + scope_name + " " + name + "\n";
    }
    record.resize(total);
    if (!listening) listen(clock);
    FILE *opened = listening ? std::fopen(path, "wb") : nullptr;
    if (!opened) return -1;
    std::fputs((head + "\n").c_str(), opened);
    left = cycles;
    file = opened;
    return 0;
}

// Ends the recording, if it has not ended by itself.
extern "C" void blindvisor_stop_recording() {
    if (file) std::fclose(file);
    file = nullptr;
}

// Writes the names of all scopes to a file: for whoever looks for one.
extern "C" void blindvisor_scopes(const char *path) {
    FILE *names = std::fopen(path, "w");
    if (!names) return;
    for (const auto &scope : *Verilated::threadContextp()->scopeNameMap()) {
        std::fprintf(names, "%s\n", scope.first);
    }
    std::fclose(names);
}
