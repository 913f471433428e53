/* The figures of a run. */
#ifndef SIM_REPORT_H
#define SIM_REPORT_H

#include "sim/traffic.h"

struct sim;

/* What was measured before probes and other epilogues. */
struct report {
	struct account account;
	uint32_t messages, components;
	unsigned degree_max;
	double degree_mean;
	double redundancy, redundancy_all;
	double deliveries;
	double last_median_ms;
	int64_t median_ms, p99_ms;
	uint64_t after_messages; /* published after the crash or the healing */
	double after_redundancy; /* -1: none */
	int64_t after_median_ms, after_p99_ms, after_max_ms;
	int64_t joiner_first_p50_ms, joiner_first_p99_ms;
	int64_t catchup_p50_ms, catchup_p99_ms;
	uint64_t memory_per_peer;
	double virtual_s;
	struct cost cost;
	double probe_first, probe_redundancy; /* of messages in the quiet, the
						 first and the second of each
						 publisher; -1: none (I6) */
};

void report_take(struct sim *s, struct report *r);
void report_print(const struct sim *s, const struct report *r);

#endif
