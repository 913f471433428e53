#include "seed/reject.h"

#include "seed/seed.h"

#include <string.h>

static const char *reason_text(enum seed_reason reason)
{
	static const char *const text[] = {
#define SEED_REJECT_TEXT(name, text) text,
		SEED_REJECT_LIST(SEED_REJECT_TEXT)
#undef SEED_REJECT_TEXT
	};

	return text[reason];
}

void seed_reject_note(struct seed *s, enum seed_reason reason,
		      const struct addr *who, const char *detail)
{
	struct seed_reject *r = &s->reject[reason];

	atomic_fetch_add(&r->count, 1);
	if (atomic_fetch_add(&r->lines, 1) < SEED_REJECT_LINES)
		log_event(s->log, LOG_WARN, KIND_WARNING, WAY_IN, "reject", who,
			  "%s: %s", reason_text(reason), detail);
}

void seed_reject_sum(struct seed *s)
{
	for (int i = 0; i < SEED_REJECTS; i++) {
		unsigned n = atomic_exchange(&s->reject[i].lines, 0);

		if (n > SEED_REJECT_LINES)
			log_event(s->log, LOG_WARN, KIND_WARNING, WAY_IN,
				  "reject", NULL, "%s: %u more",
				  reason_text((enum seed_reason)i),
				  n - SEED_REJECT_LINES);
	}
}

void seed_reject_print(struct seed *s, struct buf *out)
{
	for (int i = 0; i < SEED_REJECTS; i++) {
		const char *text = reason_text((enum seed_reason)i);

		buf_char(out, i == 0 ? '{' : ',');
		buf_json(out, text, strlen(text));
		buf_char(out, ':');
		buf_u64(out, atomic_load(&s->reject[i].count));
	}
	buf_char(out, '}');
}
