// The flood of a workload file (simnet/workload.py) on ns-3's scheduler alone: a copy is one Simulator::Schedule, and
// there are no packets, devices or stacks. Prints one line of JSON: the answers, and CPU seconds of Simulator::Run.
#include "ns3/core-module.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <vector>

struct Link {
    int peer;
    ns3::Time latency;
};

struct Flood {
    int messages = 0;
    std::vector<std::vector<Link>> links;
    std::vector<int64_t> published_us;
    std::vector<bool> seen;
    std::vector<int64_t> latencies_us;
    int64_t receptions = 0;

    void Receive(int number, int sender, int message) {
        receptions += sender >= 0;
        auto known = seen[size_t(number) * messages + message];
        if (known) return;
        known = true;
        if (sender >= 0) latencies_us.push_back(ns3::Simulator::Now().GetMicroSeconds() - published_us[message]);
        for (const auto& link : links[number])
            if (link.peer != sender)
                ns3::Simulator::Schedule(link.latency, &Flood::Receive, this, link.peer, number, message);
    }
};

int main(int, char** arguments) {
    std::ifstream file(arguments[1]);
    Flood flood;
    int nodes = 0;
    file >> nodes >> flood.messages;
    flood.links.resize(nodes);
    for (auto& own : flood.links) {
        size_t degree = 0;
        file >> degree;
        own.resize(degree);
        for (auto& link : own) {
            int64_t latency_us = 0;
            file >> link.peer >> latency_us;
            link.latency = ns3::MicroSeconds(latency_us);
        }
    }
    flood.seen.resize(size_t(nodes) * flood.messages);
    flood.latencies_us.reserve(flood.seen.size());
    flood.published_us.resize(flood.messages);
    for (int message = 0; message < flood.messages; message++) {
        int source = 0;
        file >> source >> flood.published_us[message];
        const ns3::Time at = ns3::MicroSeconds(flood.published_us[message]);
        ns3::Simulator::Schedule(at, &Flood::Receive, &flood, source, -1, message);
    }
    const clock_t began = clock();
    ns3::Simulator::Run();
    const double cpu_s = double(clock() - began) / CLOCKS_PER_SEC;
    ns3::Simulator::Destroy();
    auto& latencies_us = flood.latencies_us;
    std::sort(latencies_us.begin(), latencies_us.end());
    const size_t count = latencies_us.size();
    int64_t total_us = 0;
    for (int64_t latency_us : latencies_us) total_us += latency_us;
    const int64_t p50_us = count ? latencies_us[(count * 50 + 99) / 100 - 1] : 0;
    const int64_t p99_us = count ? latencies_us[(count * 99 + 99) / 100 - 1] : 0;
    std::printf("RESULT {\"deliveries\": %zu, \"receptions\": %lld, \"p50_us\": %lld, \"p99_us\": %lld, "
                "\"total_us\": %lld, \"cpu_s\": %.6f}\n",
                count, (long long)flood.receptions, (long long)p50_us, (long long)p99_us, (long long)total_us, cpu_s);
}
