#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(elt) ((elt)->number = 0)

#include "core/origins.h"

#include "base/crypto.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

void origins_init(struct origins *o, uint64_t max, uint64_t secret)
{
	memset(o, 0, sizeof *o);
	o->max = max;
	o->secret = secret;
}

void origins_free(struct origins *o)
{
	while (o->oldest != NULL)
		origins_remove(o, o->oldest);
}

/* Whoever publishes chooses his identity. */
static unsigned id_hash(const struct origins *o, const struct identity *id)
{
	return (unsigned)hash_keyed(o->secret, id, IDENTITY_BYTES);
}

struct origin *origins_find(struct origins *o, const struct identity *id)
{
	struct origin *r = o->last;

	if (r != NULL && identity_equal(&r->id, id))
		return r;
	HASH_FIND_BYHASHVALUE(hh, o->table, id, IDENTITY_BYTES, id_hash(o, id),
			      r);
	if (r != NULL)
		o->last = r;
	return r;
}

struct origin *origins_add(struct origins *o, const struct identity *id)
{
	struct origin *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->id = *id;
	r->parent = r->rival = LINK_NONE;
	r->number = ++o->made;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, o->table, &r->id, IDENTITY_BYTES,
				    id_hash(o, id), r);
	if (r->number == 0) { /* uthash had no memory */
		free(r);
		return NULL;
	}
	DL_APPEND(o->oldest, r);
	return r;
}

void origins_touch(struct origins *o, struct origin *r)
{
	if (r->next == NULL)
		return; /* already the newest */
	DL_DELETE(o->oldest, r);
	DL_APPEND(o->oldest, r);
}

struct origin *origins_surplus(const struct origins *o)
{
	struct origin *r = o->oldest;

	if (origins_count(o) < o->max)
		return NULL;
	while (r != NULL && r->pinned)
		r = r->next;
	return r;
}

void origins_remove(struct origins *o, struct origin *r)
{
	if (o->last == r)
		o->last = NULL;
	DL_DELETE(o->oldest, r);
	HASH_DELETE(hh, o->table, r);
	ranges_free(&r->covered);
	ranges_free(&r->held);
	free(r);
}

uint64_t origins_count(const struct origins *o)
{
	return HASH_COUNT(o->table);
}
