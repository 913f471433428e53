#include "sim/options.h"

#include "base/buf.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEERS_MAX 4000000 /* numbers of peers are places in 10.0.0.0/8 */
#define MESSAGES_MAX 100000000

static const char help[] =
	"usage: sim [options]\n"
	"Runs many peers and a few seeds on a virtual clock, and checks them.\n"
	"\n"
	"network:\n"
	"  --mode tree|flood     how messages spread (tree)\n"
	"  --peers N             (100)\n"
	"  --seeds N             (3)\n"
	"  --latency MIN-MAX     one way, in ms; fixed for each two, and up "
	"to\n"
	"                        20 % jitter (10-100)\n"
	"  --set SECTION.KEY=VALUE, --store-messages K   as for a peer\n"
	"load:\n"
	"  --publishers N        (1)\n"
	"  --messages N          of each publisher (20)\n"
	"  --rate R              a second, of all publishers (10)\n"
	"  --data BYTES          of each message (100)\n"
	"  --hours H             so many messages that it lasts so long\n"
	"  --warm S              between joining and the stream (10)\n"
	"what happens in mid-stream:\n"
	"  --crash F[:HOW]       this share of the peers ends, at once; HOW "
	"is\n"
	"                        process, host (silence), leave or restart\n"
	"  --churn F[:HOW]       this share ends each second, as many join\n"
	"  --pause F             this share stops for 5 to 20 s\n"
	"  --slow-output F       this share is not read for 5 to 20 s\n"
	"  --partition S         two halves for so many seconds\n"
	"  --join-storm N        so many more join within a second\n"
	"  --seed-restart        all seeds forget everybody\n"
	"while peers join:\n"
	"  --seed-split S        the seeds are two sets that know different\n"
	"                        peers, until S seconds later\n"
	"run:\n"
	"  --seed X              of all chance (1)\n"
	"  --through-codec       control messages and Messages are encoded "
	"and\n"
	"                        decoded, not just copied\n"
	"  --full-checks         all checks, at any size\n"
	"  --json                one line of figures\n"
	"exit status: 0 all well, 1 something was lost, came twice or broke a\n"
	"rule of docs/protocol.md, 2 wrong usage\n";

enum {
	OPT_MODE = 1,
	OPT_PEERS,
	OPT_SEEDS,
	OPT_LATENCY,
	OPT_SET,
	OPT_STORE,
	OPT_PUBLISHERS,
	OPT_MESSAGES,
	OPT_RATE,
	OPT_DATA,
	OPT_HOURS,
	OPT_WARM,
	OPT_CRASH,
	OPT_CHURN,
	OPT_PAUSE,
	OPT_SLOW_OUTPUT,
	OPT_PARTITION,
	OPT_JOIN_STORM,
	OPT_SEED_RESTART,
	OPT_SEED_SPLIT,
	OPT_SEED,
	OPT_THROUGH_CODEC,
	OPT_FULL_CHECKS,
	OPT_JSON,
	OPT_HELP
};

static const struct option table[] = {
	{ "mode", required_argument, NULL, OPT_MODE },
	{ "peers", required_argument, NULL, OPT_PEERS },
	{ "seeds", required_argument, NULL, OPT_SEEDS },
	{ "latency", required_argument, NULL, OPT_LATENCY },
	{ "set", required_argument, NULL, OPT_SET },
	{ "store-messages", required_argument, NULL, OPT_STORE },
	{ "publishers", required_argument, NULL, OPT_PUBLISHERS },
	{ "messages", required_argument, NULL, OPT_MESSAGES },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "data", required_argument, NULL, OPT_DATA },
	{ "hours", required_argument, NULL, OPT_HOURS },
	{ "warm", required_argument, NULL, OPT_WARM },
	{ "crash", required_argument, NULL, OPT_CRASH },
	{ "churn", required_argument, NULL, OPT_CHURN },
	{ "pause", required_argument, NULL, OPT_PAUSE },
	{ "slow-output", required_argument, NULL, OPT_SLOW_OUTPUT },
	{ "partition", required_argument, NULL, OPT_PARTITION },
	{ "join-storm", required_argument, NULL, OPT_JOIN_STORM },
	{ "seed-restart", no_argument, NULL, OPT_SEED_RESTART },
	{ "seed-split", required_argument, NULL, OPT_SEED_SPLIT },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "through-codec", no_argument, NULL, OPT_THROUGH_CODEC },
	{ "full-checks", no_argument, NULL, OPT_FULL_CHECKS },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static _Noreturn void refuse(const char *what, const char *text)
{
	fprintf(stderr, "sim: %s, not '%s' (--help)\n", what, text);
	exit(2);
}

static uint64_t read_count(const char *name, const char *text, uint64_t min,
			   uint64_t max)
{
	char what[128];
	char *end = NULL;
	uint64_t n = strtoull(text, &end, 10);

	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && n >= min &&
	    n <= max)
		return n;
	snprintf(what, sizeof what, "--%s takes a number from %llu to %llu",
		 name, (unsigned long long)min, (unsigned long long)max);
	refuse(what, text);
}

/* A decimal number up to what begins with one of `stops`. */
static double read_real(const char *name, const char *text, double max,
			const char *stops, const char **rest)
{
	char what[128];
	char *end = NULL;
	double v = strtod(text, &end);

	if (end != text && isfinite(v) && v >= 0 && v <= max &&
	    (*end == '\0' || strchr(stops, *end) != NULL)) {
		*rest = end;
		return v;
	}
	snprintf(what, sizeof what, "--%s takes a number from 0 to %g", name,
		 max);
	refuse(what, text);
}

static double read_plain(const char *name, const char *text, double max)
{
	const char *rest;

	return read_real(name, text, max, "", &rest);
}

static struct loss read_loss(const char *name, const char *text)
{
	static const char *const names[] = { "process", "host", "leave",
					     "restart" };
	struct loss l = { .how = END_PROCESS };
	const char *rest;

	l.share = read_real(name, text, 1, ":", &rest);
	if (*rest == '\0')
		return l;
	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(rest + 1, names[i]) == 0) {
			l.how = (enum ending)i;
			return l;
		}
	refuse("it ends as process, host, leave or restart", text);
}

static void read_latency(struct options *o, const char *text)
{
	const char *rest;
	double lo = read_real("latency", text, 10000, "-", &rest);
	double hi = *rest == '-' ? read_plain("latency", rest + 1, 10000) : lo;

	if (hi < lo)
		refuse("--latency takes MIN-MAX", text);
	o->latency_min_ms = (int64_t)lo;
	o->latency_max_ms = (int64_t)hi;
}

static void set_config(struct config *c, const char *text)
{
	const char *why = "";

	if (config_set_text(c, text, &why) == ERR_OK)
		return;
	fprintf(stderr, "sim: --set %s: %s\n", text, why);
	exit(2);
}

static void read_mode(struct config *c, const char *text)
{
	if (strcmp(text, "tree") != 0 && strcmp(text, "flood") != 0)
		refuse("--mode is tree or flood", text);
	c->gossip.tree = strcmp(text, "tree") == 0;
}

static void read_store(struct config *c, const char *text)
{
	char line[64];

	snprintf(line, sizeof line, "gossip.store_messages=%.20s", text);
	set_config(c, line);
}

static int64_t read_seconds(const char *name, const char *text)
{
	return (int64_t)(read_plain(name, text, 1e6) * 1000);
}

static void read_network(struct options *o, struct config *c, int opt,
			 const char *arg)
{
	switch (opt) {
	case OPT_MODE:
		read_mode(c, arg);
		break;
	case OPT_PEERS:
		o->peers = (uint32_t)read_count("peers", arg, 1, PEERS_MAX);
		break;
	case OPT_SEEDS:
		o->seeds =
			(uint32_t)read_count("seeds", arg, 1, CONFIG_SEEDS_MAX);
		break;
	case OPT_LATENCY:
		read_latency(o, arg);
		break;
	case OPT_SET:
		set_config(c, arg);
		break;
	case OPT_STORE:
		read_store(c, arg);
		break;
	}
}

static void read_load(struct options *o, int opt, const char *arg)
{
	switch (opt) {
	case OPT_PUBLISHERS:
		o->publishers =
			(uint32_t)read_count("publishers", arg, 1, PEERS_MAX);
		break;
	case OPT_MESSAGES:
		o->messages = read_count("messages", arg, 0, MESSAGES_MAX);
		break;
	case OPT_RATE:
		o->rate = read_plain("rate", arg, 1e6);
		if (o->rate <= 0)
			refuse("--rate takes more than 0", arg);
		break;
	case OPT_DATA:
		o->data_bytes = (uint32_t)read_count("data", arg, 0, 1048576);
		break;
	case OPT_HOURS:
		o->hours = read_plain("hours", arg, 1000);
		break;
	case OPT_WARM:
		o->warm_ms = read_seconds("warm", arg);
		break;
	}
}

static void read_fault(struct options *o, int opt, const char *arg)
{
	switch (opt) {
	case OPT_CRASH:
		o->crash = read_loss("crash", arg);
		break;
	case OPT_CHURN:
		o->churn = read_loss("churn", arg);
		break;
	case OPT_PAUSE:
		o->pause = read_plain("pause", arg, 1);
		break;
	case OPT_SLOW_OUTPUT:
		o->slow_output = read_plain("slow-output", arg, 1);
		break;
	case OPT_PARTITION:
		o->partition_ms = read_seconds("partition", arg);
		break;
	case OPT_JOIN_STORM:
		o->join_storm =
			(uint32_t)read_count("join-storm", arg, 0, PEERS_MAX);
		break;
	case OPT_SEED_RESTART:
		o->seed_restart = true;
		break;
	case OPT_SEED_SPLIT:
		o->seed_split_ms = read_seconds("seed-split", arg);
		break;
	}
}

static void read_run(struct options *o, int opt, const char *arg)
{
	switch (opt) {
	case OPT_SEED:
		o->seed = read_count("seed", arg, 0, UINT64_MAX);
		break;
	case OPT_THROUGH_CODEC:
		o->through_codec = true;
		break;
	case OPT_FULL_CHECKS:
		o->full_checks = true;
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case OPT_HELP:
		fputs(help, stdout);
		exit(0);
	default:
		exit(2); /* getopt has said why */
	}
}

/* All of it on one line, as a shell takes it. */
static char *command_line(int argc, char **argv)
{
	struct buf b = { 0 };
	const char *text;

	for (int i = 0; i < argc; i++)
		buf_fmt(&b, i > 0 ? " %s" : "%s", argv[i]);
	text = buf_text(&b);
	if (text == NULL)
		exit(1);
	return b.data;
}

static void check(struct options *o)
{
	if (o->publishers > o->peers)
		o->publishers = o->peers;
	if (o->hours > 0)
		o->messages =
			(uint64_t)(o->hours * 3600 * o->rate / o->publishers) +
			1;
	if (o->messages * o->publishers > MESSAGES_MAX) {
		fprintf(stderr, "sim: more than %d messages in all\n",
			MESSAGES_MAX);
		exit(2);
	}
}

void options_read(struct options *o, struct config *c, int argc, char **argv)
{
	int opt;

	*o = (struct options){ .peers = 100,
			       .seeds = 3,
			       .publishers = 1,
			       .messages = 20,
			       .rate = 10,
			       .data_bytes = 100,
			       .latency_min_ms = 10,
			       .latency_max_ms = 100,
			       .seed = 1,
			       .warm_ms = 10000 };
	o->command = command_line(argc, argv);
	while ((opt = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (opt >= OPT_MODE && opt <= OPT_STORE)
			read_network(o, c, opt, optarg);
		else if (opt >= OPT_PUBLISHERS && opt <= OPT_WARM)
			read_load(o, opt, optarg);
		else if (opt >= OPT_CRASH && opt <= OPT_SEED_SPLIT)
			read_fault(o, opt, optarg);
		else
			read_run(o, opt, optarg);
	}
	if (optind < argc)
		refuse("there are only options", argv[optind]);
	check(o);
	c->seed_count = o->seeds;
}
