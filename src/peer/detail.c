#include "peer/detail.h"

#include <stdio.h>

static const char *word(bool said, const char *text)
{
	return said ? text : "";
}

/* The first of them tells most: lists are short, or of one origin. */
static void put_ranges(char *out, const struct range_list *l, const char *flag,
		       const char *flag2)
{
	char origin[ADDR_TEXT_MAX];

	if (l->n == 0) {
		snprintf(out, DETAIL_MAX, "ranges=0%s%s", flag, flag2);
		return;
	}
	addr_format(&l->v[0].run.addr, origin);
	snprintf(out, DETAIL_MAX, "ranges=%zu origin=%s seq=%llu-%llu%s%s",
		 l->n, origin, (unsigned long long)l->v[0].first,
		 (unsigned long long)l->v[0].last, flag, flag2);
}

static void put_id(char *out, const struct hash *id, const char *flag)
{
	char hex[HASH_HEX + 1];

	hash_format(id, hex);
	snprintf(out, DETAIL_MAX, "id=%s%s", hex, flag);
}

static void put_runs(char *out, const struct run_list *l, const char *flag)
{
	char origin[ADDR_TEXT_MAX];

	if (l->n == 0) {
		snprintf(out, DETAIL_MAX, "runs=0%s", flag);
		return;
	}
	addr_format(&l->v[0].addr, origin);
	snprintf(out, DETAIL_MAX, "runs=%zu origin=%s%s", l->n, origin, flag);
}

void detail_print(const struct message *m, char out[DETAIL_MAX])
{
	out[0] = '\0';
	switch (m->type) {
	case MSG_HAVE:
		put_ranges(out, &m->have.ranges, word(m->have.all, " all"),
			   word(m->have.more, " more"));
		break;
	case MSG_GET_DATA:
		if (m->get_data.has_id)
			put_id(out, &m->get_data.id,
			       word(m->get_data.graft, " graft"));
		else
			put_ranges(out, &m->get_data.ranges,
				   word(m->get_data.graft, " graft"), "");
		break;
	case MSG_NOT_FOUND:
		if (m->not_found.has_id)
			put_id(out, &m->not_found.id, "");
		else
			put_ranges(out, &m->not_found.ranges, "", "");
		break;
	case MSG_GRAFT:
	case MSG_PRUNE:
		put_runs(out, &m->graft.runs, word(m->graft.all, " all"));
		break;
	default:
		break;
	}
}

void detail_log(struct log *log, enum log_way way, const struct addr *who,
		const struct message *m)
{
	char text[DETAIL_MAX];

	if (!log_wants(log, LOG_DEBUG))
		return;
	detail_print(m, text);
	log_event(log, LOG_DEBUG, KIND_PLAIN, way, message_name(m->type), who,
		  "%s", text);
}
