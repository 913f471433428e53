/* The command line: what network, what happens to it, what is told of it.
 *
 * Times are ms, shares are 0 .. 1 of all peers. Constant once read.
 */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include "base/config.h"

#include <stdbool.h>
#include <stdint.h>

/* How a peer ends. */
enum ending {
	END_PROCESS, /* its kernel closes its connections */
	END_HOST,    /* silence */
	END_LEAVE,   /* it says good-bye */
	END_RESTART  /* as END_PROCESS, and back at once as another run */
};

struct loss {
	double share; /* 0: none */
	enum ending how;
};

struct options {
	uint32_t peers, seeds, publishers;
	uint64_t messages; /* of each publisher */
	double rate;       /* messages a second, of all */
	double hours;      /* 0: as long as the messages last */
	uint32_t data_bytes;
	int64_t latency_min_ms, latency_max_ms; /* one way */
	uint64_t seed;
	struct loss crash;  /* at once */
	struct loss churn;  /* a second */
	double pause;       /* share of peers that stop for a while */
	double slow_output; /* share whose users do not read for a while */
	int64_t partition_ms, seed_split_ms;
	uint32_t join_storm;
	bool seed_restart;
	int64_t warm_ms;
	bool through_codec, full_checks, json;
	char *command; /* the whole of it, to be repeated */
};

/* Prints and exits when there is nothing to run: --help, or a mistake (one
 * line, status 2). What concerns the peers goes into the configuration. */
void options_read(struct options *o, struct config *c, int argc, char **argv);

#endif
