#include "base/config_table.h"

#include <assert.h>
#include <string.h>

static const char *const levels[] = { "error", "warn", "info", "debug", NULL };
static const char *const colors[] = { "always", "auto", "never", NULL };
static const char *const formats[] = { "text", "json", NULL };

#define FIELD(f) offsetof(struct config, f), sizeof(((struct config *)0)->f)
#define ROW(section, name, kind, field, min, max, off, words, preset, text) \
	{                                                                   \
		section, name, kind, FIELD(field), min, max, off, words,    \
			preset, text                                        \
	}
#define HOSTPORT(section, name, field, min_port, or_empty, preset, text)    \
	ROW(section, name, KIND_HOSTPORT, field, min_port, or_empty, false, \
	    NULL, preset, text)
#define DURATION(section, name, field, min, max, preset, text)          \
	ROW(section, name, KIND_DURATION, field, min, max, false, NULL, \
	    preset, text)
#define DURATION_OR_OFF(section, name, field, min, max, preset, text)          \
	ROW(section, name, KIND_DURATION, field, min, max, true, NULL, preset, \
	    text)
#define SIZE(section, name, field, min, max, preset, text)                  \
	ROW(section, name, KIND_SIZE, field, min, max, false, NULL, preset, \
	    text)
#define COUNT(section, name, field, min, max, preset, text)                  \
	ROW(section, name, KIND_COUNT, field, min, max, false, NULL, preset, \
	    text)
#define BOOL(section, name, field, preset, text) \
	ROW(section, name, KIND_BOOL, field, 0, 1, false, NULL, preset, text)
#define CHOICE(section, name, field, words, preset, text) \
	ROW(section, name, KIND_CHOICE, field, 0, 0, false, words, preset, text)
#define PATH(section, name, field, preset, text) \
	ROW(section, name, KIND_TEXT, field, 0, 0, false, NULL, preset, text)
#define PATH_OR_NONE(section, name, field, text) \
	ROW(section, name, KIND_TEXT, field, 0, 1, false, NULL, "", text)

#define MSEC 1u
#define MINUTE 60000u
#define HOUR (60u * MINUTE)
#define DAY (24u * HOUR)
#define KB ((uint64_t)1024)
#define MB (1024 * KB)
#define GB (1024 * MB)
#define SHORTEST (10 * MSEC) /* so that tests can run fast */

const struct config_section config_sections[] = {
	{ CONFIG_SEEDS_SECTION,
	  "Where the seeds are: NAME = HOST:PORT, the same list everywhere." },
	{ "peer", "One peer: bin/peer." },
	{ "overlay", "Whom a peer is linked to." },
	{ "liveness", "How a peer notices that somebody is gone." },
	{ "gossip", "How messages spread, and what they may cost." },
	{ "seed", "One seed: bin/seed." },
	{ "log", "Logs of both programs." },
	{ "security", "Who may take part." },
};
const size_t config_section_count =
	sizeof config_sections / sizeof config_sections[0];

/* clang-format off */
const struct config_key config_keys[] = {
HOSTPORT("peer", "listen", peer.listen, 0, 0, "127.0.0.1:0",
	"Where to listen; port 0: any free one"),
HOSTPORT("peer", "advertise", peer.advertise, 1, 1, "",
	"What others dial; empty: worked out"),
DURATION_OR_OFF("peer", "message_interval", peer.message_interval_ms,
	SHORTEST, DAY, "0",
	"Demo messages this often; 0: none"),
COUNT("peer", "max_connections", peer.connections_max, 1, 65536, "64",
	"Connections accepted at a time"),
COUNT("peer", "max_per_source", peer.per_source_max, 1, 65536, "16",
	"The same from one host, loopback excepted"),

COUNT("overlay", "dials", overlay.dials, 1, 15, "4",
	"Links a peer opens itself"),
/* The core keeps a set of links in 16 bits, one of them for a moment's more. */
COUNT("overlay", "max_links", overlay.links_max, 4, 15, "12",
	"Links in all"),
COUNT("overlay", "max_per_host", overlay.per_host_max, 1, 15, "2",
	"Links to one host, loopback excepted"),
COUNT("overlay", "sample", overlay.sample, 1, 32, "32",
	"Addresses asked from each seed"),
COUNT("overlay", "max_candidates", overlay.candidates_max, 1, 4096, "64",
	"Addresses remembered for dialing"),
DURATION("overlay", "dial_timeout", overlay.dial_timeout_ms,
	SHORTEST, HOUR, "3s",
	"A dial, at most"),
DURATION("overlay", "seed_timeout", overlay.seed_timeout_ms,
	SHORTEST, HOUR, "4s",
	"A conversation with a seed, at most"),
DURATION("overlay", "repair_first", overlay.repair_first_ms,
	SHORTEST, HOUR, "50ms",
	"First pause before links are repaired"),
DURATION("overlay", "repair", overlay.repair_ms, SHORTEST, HOUR, "500ms",
	"Second pause, doubled from then on"),
DURATION("overlay", "repair_max", overlay.repair_max_ms, SHORTEST, DAY, "30s",
	"Longest pause, for want of seeds or peers"),
DURATION("overlay", "urgent_interval", overlay.urgent_interval_ms,
	SHORTEST, DAY, "10s",
	"Room is made for a lonely peer this often"),
DURATION("overlay", "tie", overlay.tie_ms, SHORTEST, HOUR, "3s",
	"Double links younger than this: identity decides"),
DURATION("overlay", "report_delay", overlay.report_delay_ms, 0, HOUR, "300ms",
	"A death is reported after 0 to this"),

DURATION("liveness", "interval", liveness.interval_ms, SHORTEST, HOUR, "5s",
	"Liveliness after this much silence"),
DURATION("liveness", "busy_interval", liveness.busy_interval_ms,
	SHORTEST, DAY, "30s",
	"Liveliness on a busy link this often"),
DURATION("liveness", "timeout", liveness.timeout_ms, SHORTEST, DAY, "15s",
	"Dead after this much silence"),
DURATION("liveness", "handshake", liveness.handshake_ms, SHORTEST, HOUR, "5s",
	"Time for a connection's first frame"),
DURATION("liveness", "idle", liveness.idle_ms, SHORTEST, HOUR, "10s",
	"Longest silence of a connection that is no link"),

BOOL("gossip", "tree", gossip.tree, "yes",
	"Spread along trees; no: send every link everything"),
BOOL("gossip", "catch_up", gossip.catch_up, "yes",
	"Fetch what was said before this peer came"),
DURATION("gossip", "have_flush", gossip.have_flush_ms, SHORTEST, HOUR, "100ms",
	"An announcement waits this long for more"),
DURATION("gossip", "ask_after", gossip.ask_after_ms, SHORTEST, HOUR, "300ms",
	"Ask for what was announced and did not come"),
DURATION("gossip", "ask_min", gossip.ask_min_ms, SHORTEST, HOUR, "100ms",
	"The same once round trips are known, at least"),
DURATION("gossip", "ask_max", gossip.ask_max_ms, SHORTEST, HOUR, "1s",
	"and at most"),
DURATION("gossip", "hole_wait", gossip.hole_wait_ms, SHORTEST, HOUR, "5s",
	"A hole that nobody announced is asked for after"),
DURATION("gossip", "lost_after", gossip.lost_after_ms, SHORTEST, DAY, "30s",
	"Lost is what nobody had for this long"),
DURATION("gossip", "lazy_time", gossip.lazy_ms, SHORTEST, DAY, "60s",
	"Who fell behind gets only announcements so long"),
SIZE("gossip", "max_data", gossip.data_max, 1, MB, "64K",
	"Longest message that is published"),
COUNT("gossip", "max_runs", gossip.runs_max, 1, 16777216, "65536",
	"Origins known"),
COUNT("gossip", "store_messages", gossip.store_messages, 1, 16777216, "262144",
	"Messages kept for others"),
SIZE("gossip", "store_bytes", gossip.store_bytes, 64 * KB, 64 * GB, "64M",
	"Memory for those messages"),
SIZE("gossip", "history", gossip.history_bytes, 64 * KB, 64 * GB, "3M",
	"So much of what all neighbors have; and 1 MiB/s"),
SIZE("gossip", "max_outbox", gossip.outbox_max, 256 * KB, GB, "4M",
	"Bytes queued for one neighbor"),
SIZE("gossip", "outbox_high", gossip.outbox_high, 4 * KB, GB, "128K",
	"From here on publishers wait"),
DURATION("gossip", "publish_wait", gossip.publish_wait_ms,
	SHORTEST, HOUR, "10s",
	"A publisher waits this long at most"),
DURATION("gossip", "forward_wait", gossip.forward_wait_ms,
	SHORTEST, HOUR, "1s",
	"Who waits for room gives up without progress"),
DURATION("gossip", "slow", gossip.slow_ms, SHORTEST, HOUR, "10s",
	"In this time slow_bytes must go over a busy link"),
SIZE("gossip", "slow_bytes", gossip.slow_bytes, 1, GB, "64K",
	"Who takes less, or sends less of a frame, is dropped"),
SIZE("gossip", "max_output", gossip.output_max, 64 * KB, 4 * GB, "32M",
	"Bytes queued for stdout"),

BOOL("seed", "allow_foreign", seed.allow_foreign, "no",
	"A peer may register another host's address"),
DURATION("seed", "period", seed.period_ms, SHORTEST, DAY, "1m",
	"Peers renew this often, or less often"),
COUNT("seed", "lease_periods", seed.lease_periods, 1, 1000, "3",
	"Checked after so many periods without renewal"),
COUNT("seed", "max_connections", seed.connections_max, 1, 65536, "1024",
	"Connections accepted at a time"),
COUNT("seed", "max_per_source", seed.per_source_max, 1, 65536, "64",
	"The same from one host, loopback excepted"),
DURATION("seed", "handshake", seed.handshake_ms, SHORTEST, HOUR, "5s",
	"Time for a connection's first frame"),
DURATION("seed", "idle", seed.idle_ms, SHORTEST, HOUR, "10s",
	"Longest silence of a connection"),
DURATION("seed", "dial_back", seed.dial_back_ms, SHORTEST, HOUR, "2s",
	"A new peer is dialed back within this"),
DURATION("seed", "verify_connect", seed.verify_connect_ms,
	SHORTEST, HOUR, "3s",
	"Time to reach a peer reported dead"),
DURATION("seed", "verify_reply", seed.verify_reply_ms, SHORTEST, HOUR, "10s",
	"Time for the answer of such a peer"),
DURATION("seed", "verify_retry", seed.verify_retry_ms, SHORTEST, HOUR, "1s",
	"Pause before the second try"),
COUNT("seed", "max_verify", seed.verify_max, 1, 1024, "64",
	"Peers verified at a time"),
COUNT("seed", "verify_queue", seed.verify_queue, 1, 1048576, "4096",
	"Peers waiting to be verified"),
COUNT("seed", "max_peers", seed.peers_max, 1, 16777216, "1048576",
	"Peers in the list"),
COUNT("seed", "max_per_host", seed.per_host_max, 1, 16777216, "256",
	"The same of one host, loopback excepted"),

PATH("log", "directory", log.directory, "bin",
	"Holds servers/ and clients/"),
CHOICE("log", "level", log.level, levels, "info",
	"What is worth a line"),
CHOICE("log", "color", log.color, colors, "always",
	"Colors in the files"),
CHOICE("log", "format", log.format, formats, "text",
	"Lines for people or for programs"),
SIZE("log", "max_size", log.max_size, 4 * KB, 64 * GB, "10M",
	"A larger file is renamed, one old one kept"),

PATH_OR_NONE("security", "key_file", security.key_file,
	"The keys; who has none cannot join"),
BOOL("security", "insecure", security.insecure, "no",
	"Listen beyond loopback without a key"),
};
/* clang-format on */

const size_t config_key_count = sizeof config_keys / sizeof config_keys[0];
static_assert(sizeof config_keys / sizeof config_keys[0] <= CONFIG_KEYS_MAX,
	      "make CONFIG_KEYS_MAX larger");

bool config_section_known(const char *section)
{
	for (size_t i = 0; i < config_section_count; i++)
		if (strcmp(config_sections[i].name, section) == 0)
			return true;
	return false;
}

const struct config_key *config_key_find(const char *section, const char *name)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *k = &config_keys[i];

		if (strcmp(k->section, section) == 0 &&
		    strcmp(k->name, name) == 0)
			return k;
	}
	return NULL;
}
