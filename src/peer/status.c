#include "peer/status.h"

#include "io/clock.h"
#include "io/usage.h"
#include "peer/hub.h"
#include "peer/output.h"

static void number(struct buf *b, const char *name, uint64_t v)
{
	buf_fmt(b, ",\"%s\":%llu", name, (unsigned long long)v);
}

static uint64_t read_counter(atomic_uint_fast64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static void gossip_figures(struct peer *p, struct buf *b)
{
	struct node_stats s = hub_stats(p->hub);

	number(b, "published", s.published);
	number(b, "delivered", s.delivered);
	number(b, "duplicates", s.duplicates);
	number(b, "forwarded", s.forwarded);
	number(b, "recovered", s.recovered);
	number(b, "lost", s.lost + output_lost(p->output));
	number(b, "conflicts", s.conflicts);
	number(b, "have_sent", s.have_sent);
	number(b, "getdata_sent", s.getdata_sent);
	number(b, "prunes", s.prunes);
	number(b, "grafts", s.grafts);
	number(b, "store_messages", s.store_messages);
	number(b, "store_bytes", s.store_bytes);
	number(b, "deaths_reported", s.deaths_reported);
}

static void rejected(struct peer *p, struct buf *b)
{
	struct node_stats stats = hub_stats(p->hub);

	buf_str(b, ",\"rejected\":{");
	reject_print(&p->rejects, b);
	number(b, "out_of_place", stats.rejected);
	number(b, "starved", stats.starved);
	buf_char(b, '}');
}

/* keyed; else loopback, or insecure if everybody may be let in. */
static void security(const struct peer *p, struct buf *b)
{
	const char *how = p->to_peers.keys != NULL       ? "keyed"
			  : p->config->security.insecure ? "insecure"
							 : "loopback";

	buf_fmt(b, ",\"security\":\"%s\"", how);
}

/* "keys":{id: links under it, ...} */
static void keys(struct peer *p, struct buf *b)
{
	struct key_id v[LINK_SLOTS];
	size_t n = hub_link_keys(p->hub, v), same;
	const char *comma = "";

	buf_str(b, ",\"keys\":{");
	for (; n > 0; n -= same) {
		char id[KEY_ID_TEXT + 1];
		struct key_id last = v[n - 1];
		size_t rest = 0;

		for (size_t i = 0; i < n; i++)
			if (!key_id_equal(&v[i], &last))
				v[rest++] = v[i];
		same = n - rest;
		key_id_format(&last, id);
		buf_fmt(b, "%s\"%s\":%zu", comma, id, same);
		comma = ",";
	}
	buf_char(b, '}');
}

void peer_status(struct peer *p, struct buf *b)
{
	struct neighbor neighbors[LINK_SLOTS];
	struct identity self = hub_self(p->hub);
	char address[ADDR_TEXT_MAX];

	addr_format(&self.addr, address);
	buf_fmt(b, "{\"address\":\"%s\"", address);
	number(b, "incarnation", self.incarnation);
	number(b, "uptime_ms", (uint64_t)(clock_ms() - p->started_ms));
	security(p, b);
	keys(p, b);
	number(b, "neighbors", hub_neighbors(p->hub, neighbors));
	number(b, "threads", usage_threads());
	number(b, "fds", usage_fds());
	gossip_figures(p, b);
	number(b, "outbox_bytes", hub_outbox_bytes(p->hub));
	number(b, "bytes_in", read_counter(&p->counters.bytes_in));
	number(b, "bytes_out", read_counter(&p->counters.bytes_out));
	rejected(p, b);
	buf_char(b, '}');
}
