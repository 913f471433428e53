#include "wire/channel.h"

#include <string.h>

enum { CHANNEL_PLAIN, CHANNEL_KEYED };

#define HEAD_BYTES 4    /* of a record: the length of what follows */
#define REST_BYTES 4096 /* what a quiet channel keeps */

/* The hello: magic, version, mode, role, a zero, key id. No frame begins like
 * it, nor any other protocol we know. */
#define HELLO_VERSION 1
#define HELLO_MODE 1 /* the pattern and the functions of wire/noise */

static const uint8_t magic[4] = { 0xd5, 'S', 'n', 'P' };

enum {
	AT_VERSION = sizeof magic,
	AT_MODE,
	AT_ROLE,
	AT_PAD,
	AT_KEY_ID,
	HELLO_END = AT_KEY_ID + KEY_ID_BYTES
};

_Static_assert(HELLO_END == CHANNEL_HELLO_BYTES, "the size of a hello");

void channel_init_plain(struct channel *c)
{
	memset(c, 0, sizeof *c);
	c->kind = CHANNEL_PLAIN;
}

void channel_free(struct channel *c)
{
	buf_free(&c->sealed);
	crypto_wipe(c, sizeof *c);
	channel_init_plain(c);
}

void channel_move(struct channel *to, struct channel *from)
{
	*to = *from;
	crypto_wipe(from, sizeof *from);
	channel_init_plain(from);
}

bool channel_is_keyed(const struct channel *c)
{
	return c->kind == CHANNEL_KEYED;
}

/* --- greeting --------------------------------------------------------- */

static void write_hello(const struct member_key *k, enum channel_role to,
			uint8_t out[CHANNEL_HELLO_BYTES])
{
	memcpy(out, magic, sizeof magic);
	out[AT_VERSION] = HELLO_VERSION;
	out[AT_MODE] = HELLO_MODE;
	out[AT_ROLE] = (uint8_t)to;
	out[AT_PAD] = 0;
	memcpy(out + AT_KEY_ID, k->id.b, KEY_ID_BYTES);
}

bool channel_is_hello(const uint8_t in[CHANNEL_HELLO_BYTES])
{
	return memcmp(in, magic, sizeof magic) == 0;
}

static enum err read_hello(const uint8_t in[CHANNEL_HELLO_BYTES],
			   enum channel_role self, struct key_id *id)
{
	if (!channel_is_hello(in))
		return ERR_SYNTAX;
	if (in[AT_VERSION] != HELLO_VERSION || in[AT_MODE] != HELLO_MODE ||
	    in[AT_PAD] != 0)
		return ERR_VERSION;
	memcpy(id->b, in + AT_KEY_ID, KEY_ID_BYTES);
	return in[AT_ROLE] == self ? ERR_OK : ERR_UNKNOWN;
}

static void init_keyed(struct channel *c, const struct member_key *k,
		       const struct noise *x)
{
	channel_init_plain(c);
	c->kind = CHANNEL_KEYED;
	c->key = k->id;
	memcpy(c->hash, x->hash, sizeof c->hash);
}

void channel_dial(struct noise *x, const struct member_key *k,
		  enum channel_role to, const uint8_t secret[KEY_BYTES],
		  uint8_t out[CHANNEL_FIRST_BYTES])
{
	write_hello(k, to, out);
	noise_begin(x, k->secret, out, CHANNEL_HELLO_BYTES, secret);
	noise_write_first(x, NULL, 0, out + CHANNEL_HELLO_BYTES);
}

enum err channel_dialed(struct noise *x, const struct member_key *k,
			uint8_t in[CHANNEL_SECOND_BYTES], struct channel *c)
{
	const uint8_t *nothing;
	bool good = noise_read_second(x, in, CHANNEL_SECOND_BYTES, &nothing);

	if (good) {
		init_keyed(c, k, x);
		noise_split(x, &c->sending, &c->receiving);
	}
	noise_wipe(x);
	return good ? ERR_OK : ERR_SYNTAX;
}

enum err channel_answer(const struct keyring *ring, enum channel_role self,
			const uint8_t secret[KEY_BYTES],
			uint8_t in[CHANNEL_FIRST_BYTES],
			uint8_t out[CHANNEL_SECOND_BYTES], struct channel *c,
			struct key_id *id)
{
	const struct member_key *k;
	const uint8_t *nothing;
	struct noise x;
	enum err e = read_hello(in, self, id);

	if (e != ERR_OK)
		return e;
	k = keyring_find(ring, id);
	if (k == NULL)
		return ERR_NOT_FOUND;
	noise_begin(&x, k->secret, in, CHANNEL_HELLO_BYTES, secret);
	if (noise_read_first(&x, in + CHANNEL_HELLO_BYTES, NOISE_MESSAGE_BYTES,
			     &nothing) &&
	    noise_write_second(&x, NULL, 0, out)) {
		init_keyed(c, k, &x);
		noise_split(&x, &c->receiving, &c->sending);
	} else {
		e = ERR_RESET;
	}
	noise_wipe(&x);
	return e;
}

/* --- records ---------------------------------------------------------- */

static void write_length(uint8_t out[HEAD_BYTES], size_t n)
{
	for (unsigned i = 0; i < HEAD_BYTES; i++)
		out[i] = (uint8_t)(n >> 8 * (HEAD_BYTES - 1 - i));
}

static size_t read_length(const uint8_t in[HEAD_BYTES])
{
	size_t n = 0;

	for (unsigned i = 0; i < HEAD_BYTES; i++)
		n = n << 8 | in[i];
	return n;
}

/* Where a reader of many vectors is. */
struct cursor {
	const struct iovec *v;
	size_t at;
};

static void copy_from(struct cursor *from, uint8_t *out, size_t n)
{
	while (n > 0) {
		size_t left = from->v->iov_len - from->at;
		size_t some = n < left ? n : left;

		memcpy(out, (const uint8_t *)from->v->iov_base + from->at,
		       some);
		out += some;
		n -= some;
		from->at += some;
		if (from->at == from->v->iov_len) {
			from->v++;
			from->at = 0;
		}
	}
}

/* A record of the next n bytes; there is room for it. */
static void add_record(struct channel *c, struct cursor *from, size_t n)
{
	uint8_t *head = (uint8_t *)c->sealed.data + c->sealed.len;

	write_length(head, n + TAG_BYTES);
	copy_from(from, head + HEAD_BYTES, n);
	noise_seal(&c->sending, head, HEAD_BYTES, head + HEAD_BYTES, n);
	c->sealed.len += HEAD_BYTES + n + TAG_BYTES;
}

static void give_sealed(struct channel *c, const struct iovec **out, int *out_n)
{
	c->vector = (struct iovec){ c->sealed.data, c->sealed.len };
	*out = &c->vector;
	*out_n = 1;
}

enum err channel_seal(struct channel *c, const struct iovec *in, int n,
		      const struct iovec **out, int *out_n)
{
	struct cursor from = { in, 0 };
	size_t total = 0, records;

	if (c->kind == CHANNEL_PLAIN) {
		*out = in;
		*out_n = n;
		return ERR_OK;
	}
	for (int i = 0; i < n; i++)
		total += in[i].iov_len;
	records = (total + CHANNEL_RECORD_MAX - 1) / CHANNEL_RECORD_MAX;
	buf_reset(&c->sealed);
	if (!buf_reserve(&c->sealed,
			 total + records * (HEAD_BYTES + TAG_BYTES)))
		return ERR_NOMEM;
	while (total > 0) {
		size_t some =
			total < CHANNEL_RECORD_MAX ? total : CHANNEL_RECORD_MAX;

		add_record(c, &from, some);
		total -= some;
	}
	give_sealed(c, out, out_n);
	return ERR_OK;
}

enum err channel_seal_end(struct channel *c, const struct iovec **out,
			  int *out_n)
{
	*out_n = 0;
	if (c->kind == CHANNEL_PLAIN)
		return ERR_OK;
	buf_reset(&c->sealed);
	if (!buf_reserve(&c->sealed, HEAD_BYTES + TAG_BYTES))
		return ERR_NOMEM;
	add_record(c, NULL, 0);
	give_sealed(c, out, out_n);
	return ERR_OK;
}

void channel_rest(struct channel *c)
{
	if (c->sealed.cap > REST_BYTES)
		buf_free(&c->sealed);
}

/* The record at `at`, of which n bytes are there: opens it in place. *used: of
 * those bytes, 0 if some are missing; *plain_n: what it holds. */
static enum err open_record(struct channel *c, uint8_t *at, size_t n,
			    size_t *used, size_t *plain_n)
{
	size_t length;

	*used = *plain_n = 0;
	if (n < HEAD_BYTES)
		return ERR_OK;
	length = read_length(at);
	if (length < TAG_BYTES || length > CHANNEL_RECORD_MAX + TAG_BYTES)
		return ERR_SYNTAX;
	if (n < HEAD_BYTES + length)
		return ERR_OK;
	if (!noise_open(&c->receiving, at, HEAD_BYTES, at + HEAD_BYTES, length))
		return ERR_SYNTAX;
	*used = HEAD_BYTES + length;
	*plain_n = length - TAG_BYTES;
	c->ended = *plain_n == 0;
	return ERR_OK;
}

enum err channel_open(struct channel *c, uint8_t *in, size_t n, size_t *used,
		      uint8_t **plain, size_t *plain_n)
{
	size_t done = 0, made = 0;

	*plain = in;
	*used = *plain_n = n;
	if (c->kind == CHANNEL_PLAIN)
		return ERR_OK;
	while (done < n) {
		size_t one = 0, bytes = 0;
		enum err e = ERR_SYNTAX;

		if (!c->ended)
			e = open_record(c, in + done, n - done, &one, &bytes);
		if (e != ERR_OK)
			return e;
		if (one == 0)
			break;
		memmove(in + made, in + done + HEAD_BYTES, bytes);
		made += bytes;
		done += one;
	}
	*used = done;
	*plain_n = made;
	return ERR_OK;
}

bool channel_is_cut(const struct channel *c)
{
	return c->kind == CHANNEL_KEYED && !c->ended;
}
