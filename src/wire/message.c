#include "wire/message.h"

#include <stdlib.h>

/* No name on the wire, and no word of the protocol either. */
#define NO_NAME "?"

#define NAME_OF(names, i) \
	((size_t)(i) < sizeof(names) / sizeof(names)[0] ? (names)[i] : NO_NAME)

const char *message_name(enum message_type t)
{
	static const char *const names[] = {
#define MESSAGE_NAME(name, text) text,
		MESSAGE_LIST(MESSAGE_NAME)
#undef MESSAGE_NAME
	};

	return NAME_OF(names, t);
}

const char *death_reason_name(enum death_reason r)
{
	static const char *const names[] = { [DEATH_LEFT] = "left",
					     [DEATH_SILENT] = "silent",
					     [DEATH_RESET] = "reset",
					     [DEATH_REFUSED] = "refused" };

	return NAME_OF(names, r);
}

const char *death_verdict_name(enum death_verdict v)
{
	static const char *const names[] = { [VERDICT_REMOVED] = "removed",
					     [VERDICT_VERIFYING] = "verifying",
					     [VERDICT_ALIVE] = "alive",
					     [VERDICT_UNKNOWN] = "unknown",
					     [VERDICT_BUSY] = "busy" };

	return NAME_OF(names, v);
}

const char *peer_verdict_name(enum peer_verdict v)
{
	static const char *const names[] = { [PEER_ACCEPTED] = "accepted",
					     [PEER_BUSY] = "busy",
					     [PEER_DUPLICATE] = "duplicate",
					     [PEER_SELF] = "self" };

	return NAME_OF(names, v);
}

const char *bye_reason_name(enum bye_reason r)
{
	static const char *const names[] = { [BYE_ROTATE] = "rotate",
					     [BYE_BUSY] = "busy",
					     [BYE_DUPLICATE] = "duplicate",
					     [BYE_SLOW] = "slow",
					     [BYE_SHUTDOWN] = "shutdown" };

	return NAME_OF(names, r);
}

void message_clear(struct message *m)
{
	free(m->memory);
	*m = (struct message){ 0 };
}
