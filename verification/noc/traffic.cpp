// SPDX-License-Identifier: Apache-2.0
// Sends packets through a Verilated mesh and prints, as JSON, when they arrived.
//
//   model alone FLITS
//   model load FLITS RATE WARM_UP WINDOW DRAIN SEED  < weights
//
// `alone` sends one packet at a time, from each cluster to each other one: [[from, to, cycles], ..].
// `load` offers RATE flits per cluster and cycle (0: as much as goes in) as packets that arise
// independently of each other and wait in queues without a limit. `weights` has a row per cluster:
// how often it sends to each one. Latencies are those of the packets that arose in the window, from
// the cycle in which a packet arose to the one in which its last flit leaves the mesh; traffic goes
// on until all of these have arrived, or DRAIN cycles are over. All local outputs are always ready.
//
// Every flit is checked: right cluster, right packet, right place in it, and nothing dropped.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

// WIDTH, HEIGHT, COUNT and the ports: written by verification/noc/model.py.
@PORTS@

namespace {

struct Packet {
    int from, to;
    uint64_t arose;
    bool measured;
};

[[noreturn]] void fail(const char *what) {
    std::fprintf(stderr, "%s\n", what);
    std::exit(2);
}

class Bench {
  public:
    explicit Bench(int flits) : flits(flits), top(new Vtop("")) {
        bind(top.get(), ports);
        top->rst = 1;
        for (int n = 0; n < COUNT; ++n) {
            *ports[n].in_valid = 0;
            *ports[n].out_ready = 1;
        }
        for (int n = 0; n < 4; ++n) clock();
        top->rst = 0;
    }

    void add(int from, int to, bool measured) {
        if (packets.size() >> 24) fail("a run must have fewer than 2^24 packets");
        waiting[from].push_back(packets.size());
        packets.push_back({from, to, cycle, measured});
    }

    // One cycle; calls arrived(packet) for each last flit that leaves the mesh.
    template <typename Arrived> void step(Arrived arrived) {
        for (int n = 0; n < COUNT; ++n) {
            *ports[n].in_valid = !waiting[n].empty();
            if (!waiting[n].empty()) *ports[n].in_payload = word(waiting[n].front(), sent[n]);
        }
        top->eval();
        if (top->dropped) fail("a router dropped a packet");
        for (int n = 0; n < COUNT; ++n) {
            if (*ports[n].in_valid && *ports[n].in_ready && ++sent[n] == flits) {
                sent[n] = 0;
                waiting[n].pop_front();
            }
            if (!*ports[n].out_valid) continue;
            const uint64_t got = *ports[n].out_payload;
            if (come[n] == 0) coming[n] = got >> 8 & 0xFFFFFF;
            if (coming[n] >= packets.size()) fail("a packet arrived that nobody sent");
            const Packet &packet = packets[coming[n]];
            if (packet.to != n) fail("a packet arrived where it does not belong");
            if (got != word(coming[n], come[n])) fail("a flit is not what was sent");
            ++out[packet.from];
            if (++come[n] == flits) {
                come[n] = 0;
                arrived(packet);
            }
        }
        clock();
        ++cycle;
    }

    const int flits;
    uint64_t cycle = 0;
    std::deque<uint32_t> waiting[COUNT];
    uint64_t out[COUNT] = {};  // flits that left the mesh, by the cluster that sent them

  private:
    // Layout FLIT: data, then `last`. A head flit is its destination, then the packet's number.
    uint64_t word(uint32_t number, int flit) const {
        const int to = packets[number].to;
        const uint64_t last = flit == flits - 1;
        const uint32_t data = flit == 0 ? number << 8 | (to / WIDTH) << 4 | to % WIDTH
                                        : number ^ uint32_t(flit) << 28;
        return last << 32 | data;
    }

    void clock() {
        top->clk = 1;
        top->eval();
        top->clk = 0;
        top->eval();
    }

    std::unique_ptr<Vtop> top;
    Ports ports[COUNT];
    std::vector<Packet> packets;
    int sent[COUNT] = {}, come[COUNT] = {};
    uint32_t coming[COUNT] = {};
};

int alone(int flits) {
    Bench bench(flits);
    const char *comma = "[";
    for (int from = 0; from < COUNT; ++from) {
        for (int to = 0; to < COUNT; ++to) {
            if (from == to) continue;
            bench.add(from, to, true);
            const uint64_t began = bench.cycle;
            bool there = false;
            while (!there) {
                bench.step([&](const Packet &) { there = true; });
                if (bench.cycle - began > 1000) fail("a packet did not arrive");
            }
            std::printf("%s[%d,%d,%d]", comma, from, to, int(bench.cycle - 1 - began));
            comma = ",";
        }
    }
    std::printf("]\n");
    return 0;
}

int load(int flits, double rate, uint64_t warm_up, uint64_t window, uint64_t drain, int seed) {
    std::vector<double> reach[COUNT];  // sums of the weights, row by row
    for (auto &row : reach) {
        double sum = 0;
        for (int n = 0; n < COUNT; ++n) {
            double weight;
            if (std::scanf("%lf", &weight) != 1) fail("weights must be a number per pair");
            row.push_back(sum += weight);
        }
    }
    // Not std::*_distribution: those differ from one library to another.
    std::mt19937_64 random(seed);
    const auto uniform = [&] { return (random() >> 11) * 0x1p-53; };
    Bench bench(flits);
    std::vector<uint64_t> latencies;
    uint64_t measured = 0, offered = 0, begin[COUNT] = {}, carried[COUNT] = {};
    const uint64_t end = warm_up + window;
    while (bench.cycle < end || (rate > 0 && latencies.size() < measured && bench.cycle < end + drain)) {
        const bool counts = warm_up <= bench.cycle && bench.cycle < end;
        if (bench.cycle == warm_up) std::copy(bench.out, bench.out + COUNT, begin);
        for (int n = 0; n < COUNT; ++n) {
            const auto &row = reach[n];
            if (row.back() == 0) continue;
            if (rate > 0 ? uniform() * flits >= rate : !bench.waiting[n].empty()) continue;
            const double at = uniform() * row.back();
            bench.add(n, std::upper_bound(row.begin(), row.end(), at) - row.begin(), counts);
            measured += counts;
            offered += counts * flits;
        }
        bench.step([&](const Packet &packet) {
            if (packet.measured) latencies.push_back(bench.cycle - packet.arose);
        });
        if (bench.cycle == end) {
            for (int n = 0; n < COUNT; ++n) carried[n] = bench.out[n] - begin[n];
        }
    }
    std::sort(latencies.begin(), latencies.end());
    uint64_t sum = 0;
    for (uint64_t latency : latencies) sum += latency;
    std::printf("{\"packets\":%llu,\"arrived\":%llu,\"latency_sum\":%llu,\"offered\":%llu,\"p99\":%llu",
                (unsigned long long)measured, (unsigned long long)latencies.size(),
                (unsigned long long)sum, (unsigned long long)offered,
                (unsigned long long)(latencies.empty() ? 0 : latencies[latencies.size() * 99 / 100]));
    std::printf(",\"carried\":[");
    for (int n = 0; n < COUNT; ++n) {
        std::printf("%s%llu", n ? "," : "", (unsigned long long)carried[n]);
    }
    std::printf("],\"cycles\":%llu}\n", (unsigned long long)bench.cycle);
    return 0;
}

}  // namespace

double sc_time_stamp() { return 0; }

int main(int argc, char **argv) {
    const std::string mode = argc > 1 ? argv[1] : "";
    if (mode == "alone" && argc == 3) return alone(std::atoi(argv[2]));
    if (mode == "load" && argc == 8) {
        return load(std::atoi(argv[2]), std::atof(argv[3]), std::atoll(argv[4]), std::atoll(argv[5]),
                    std::atoll(argv[6]), std::atoi(argv[7]));
    }
    std::fprintf(stderr, "usage: model alone FLITS | load FLITS RATE WARM_UP WINDOW DRAIN SEED\n");
    return 2;
}
