#include "io/usage.h"
#include "seed/seed.h"

static void add(struct buf *out, const char *key, uint64_t value)
{
	buf_fmt(out, "\"%s\":", key);
	buf_u64(out, value);
	buf_char(out, ',');
}

void seed_status(struct seed *s, struct buf *out)
{
	struct seed_counters *c = &s->counters;
	struct server_stats net = server_stats(s->server);
	char address[ADDR_TEXT_MAX];
	size_t count;

	mutex_lock(&s->mu);
	count = registry_count(s->registry);
	mutex_unlock(&s->mu);
	addr_format(&s->self.addr, address);
	buf_fmt(out, "{\"address\":\"%s\",\"security\":\"%s\",", address,
		s->to_us.keys != NULL          ? "keyed"
		: s->config->security.insecure ? "insecure"
					       : "loopback");
	add(out, "count", count);
	add(out, "registers", atomic_load(&c->registers));
	add(out, "lists", atomic_load(&c->lists));
	add(out, "deaths", atomic_load(&c->deaths));
	add(out, "deaths_confirmed", atomic_load(&c->deaths_confirmed));
	add(out, "deaths_refuted", atomic_load(&c->deaths_refuted));
	add(out, "connections", net.connections);
	add(out, "refused", net.refused);
	add(out, "threads", usage_threads());
	add(out, "fds", usage_fds());
	buf_str(out, "\"rejected\":{");
	reject_print(&s->rejects, out);
	buf_str(out, "}}");
}
