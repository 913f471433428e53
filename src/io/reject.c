#include "io/reject.h"

#include "io/clock.h"

#include <string.h>

static const char *reason_text(enum reject_reason reason)
{
	static const char *const text[] = {
#define REJECT_TEXT(name, text) text,
		REJECT_LIST(REJECT_TEXT)
#undef REJECT_TEXT
	};

	return text[reason];
}

/* Opens a new window for this reason; whoever does says what the last one
 * left out. */
static void turn_window(struct rejects *r, enum reject_reason reason,
			int64_t window)
{
	struct reject_counter *c = &r->by[reason];
	int_fast64_t old = atomic_load(&c->window);
	unsigned lines;

	if (old == window ||
	    !atomic_compare_exchange_strong(&c->window, &old, window))
		return;
	lines = atomic_exchange(&c->lines, 0);
	if (lines > REJECT_LINES)
		log_event(r->log, LOG_WARN, KIND_WARNING, WAY_IN, "reject",
			  NULL, "%s: %u more", reason_text(reason),
			  lines - REJECT_LINES);
}

void reject_note(struct rejects *r, enum reject_reason reason,
		 const struct addr *who, const char *detail)
{
	reject_note_at(r, reason, who, detail, clock_ms());
}

void reject_note_at(struct rejects *r, enum reject_reason reason,
		    const struct addr *who, const char *detail, int64_t now_ms)
{
	struct reject_counter *c = &r->by[reason];

	atomic_fetch_add(&c->count, 1);
	turn_window(r, reason, now_ms / REJECT_WINDOW_MS);
	if (atomic_fetch_add(&c->lines, 1) < REJECT_LINES)
		log_event(r->log, LOG_WARN, KIND_WARNING, WAY_IN, "reject", who,
			  "%s: %s", reason_text(reason), detail);
}

void reject_talk(struct rejects *r, const struct addr *who,
		 const struct talk *t, enum err e, bool first)
{
	bool partial = inbox_partial(&t->inbox);

	if (e == ERR_SYNTAX)
		reject_note(r, REJECT_MALFORMED, who, t->why);
	else if (e == ERR_RANGE)
		reject_note(r, REJECT_OVERSIZED, who, t->why);
	else if (e == ERR_VERSION)
		reject_note(r, REJECT_VERSION, who, t->why);
	else if (e == ERR_KEY)
		reject_note(r, REJECT_KEY, who, t->why);
	else if (e == ERR_NOMEM)
		reject_note(r, REJECT_MEMORY, who, "no memory for a request");
	else if (e == ERR_TIMEOUT && first)
		reject_note(r, REJECT_HANDSHAKE, who,
			    partial ? "half a request, then silence"
				    : "no request in time");
	else if (partial &&
		 (e == ERR_TIMEOUT || e == ERR_CLOSED || e == ERR_RESET))
		reject_note(r, REJECT_TRUNCATED, who, "ended inside a frame");
}

void reject_print(struct rejects *r, struct buf *out)
{
	for (int i = 0; i < REJECT_REASONS; i++) {
		const char *text = reason_text((enum reject_reason)i);

		if (i > 0)
			buf_char(out, ',');
		buf_json(out, text, strlen(text));
		buf_char(out, ':');
		buf_u64(out, atomic_load(&r->by[i].count));
	}
}
