#include "seed/seed.h"

#include <dirent.h>

/* Entries of a directory under /proc; 0 where there is none. */
static size_t count_entries(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	if (!d)
		return 0;
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

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
	size_t count, fds;

	mutex_lock(&s->mu);
	count = registry_count(s->registry);
	mutex_unlock(&s->mu);
	addr_format(&s->self.addr, address);
	fds = count_entries("/proc/self/fd");
	if (fds > 0)
		fds--; /* the one that looks */
	buf_fmt(out, "{\"address\":\"%s\",", address);
	add(out, "count", count);
	add(out, "registers", atomic_load(&c->registers));
	add(out, "lists", atomic_load(&c->lists));
	add(out, "deaths", atomic_load(&c->deaths));
	add(out, "deaths_confirmed", atomic_load(&c->deaths_confirmed));
	add(out, "deaths_refuted", atomic_load(&c->deaths_refuted));
	add(out, "connections", net.connections);
	add(out, "refused", net.refused);
	add(out, "threads", count_entries("/proc/self/task"));
	add(out, "fds", fds);
	buf_str(out, "\"rejected\":");
	seed_reject_print(s, out);
	buf_char(out, '}');
}
