// The flood of a workload file (simnet/workload.py) on std::priority_queue: an event-per-copy simulator with nothing
// around it. Prints one line of JSON: the answers, and CPU seconds from the first event to the last.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <queue>
#include <vector>

struct Link {
    int peer;
    int64_t latency_us;
};

struct Copy {
    int64_t at_us;
    uint64_t sequence;
    int to, sender, message;
};

struct Later {
    bool operator()(const Copy& one, const Copy& two) const {
        return one.at_us != two.at_us ? one.at_us > two.at_us : one.sequence > two.sequence;
    }
};

int main(int, char** arguments) {
    std::ifstream file(arguments[1]);
    int nodes = 0, messages = 0;
    file >> nodes >> messages;
    std::vector<std::vector<Link>> links(nodes);
    for (auto& own : links) {
        size_t degree = 0;
        file >> degree;
        own.resize(degree);
        for (auto& link : own) file >> link.peer >> link.latency_us;
    }
    std::priority_queue<Copy, std::vector<Copy>, Later> queue;
    std::vector<int64_t> published_us(messages);
    uint64_t sequence = 0;
    for (int message = 0; message < messages; message++) {
        int source = 0;
        file >> source >> published_us[message];
        queue.push({published_us[message], sequence++, source, -1, message});
    }
    std::vector<bool> seen(size_t(nodes) * messages);
    std::vector<int64_t> latencies_us;
    latencies_us.reserve(seen.size());
    int64_t receptions = 0;
    const clock_t began = clock();
    while (!queue.empty()) {
        const Copy copy = queue.top();
        queue.pop();
        receptions += copy.sender >= 0;
        auto known = seen[size_t(copy.to) * messages + copy.message];
        if (known) continue;
        known = true;
        if (copy.sender >= 0) latencies_us.push_back(copy.at_us - published_us[copy.message]);
        for (const auto& link : links[copy.to])
            if (link.peer != copy.sender)
                queue.push({copy.at_us + link.latency_us, sequence++, link.peer, copy.to, copy.message});
    }
    const double cpu_s = double(clock() - began) / CLOCKS_PER_SEC;
    std::sort(latencies_us.begin(), latencies_us.end());
    const size_t count = latencies_us.size();
    int64_t total_us = 0;
    for (int64_t latency_us : latencies_us) total_us += latency_us;
    const int64_t p50_us = count ? latencies_us[(count * 50 + 99) / 100 - 1] : 0;
    const int64_t p99_us = count ? latencies_us[(count * 99 + 99) / 100 - 1] : 0;
    std::printf("RESULT {\"deliveries\": %zu, \"receptions\": %lld, \"p50_us\": %lld, \"p99_us\": %lld, "
                "\"total_us\": %lld, \"cpu_s\": %.6f}\n",
                count, (long long)receptions, (long long)p50_us, (long long)p99_us, (long long)total_us, cpu_s);
}
