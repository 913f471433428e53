#include "base/keyring.h"

#include <stdio.h>
#include <string.h>

struct key_id key_id_of(const uint8_t secret[KEY_BYTES])
{
	uint8_t hash[HASH_BYTES];
	struct key_id id;

	hash_with_key(secret, "id", 2, hash, sizeof hash);
	memcpy(id.b, hash, sizeof id.b);
	return id;
}

bool key_id_equal(const struct key_id *a, const struct key_id *b)
{
	return memcmp(a->b, b->b, sizeof a->b) == 0;
}

void key_id_format(const struct key_id *id, char out[KEY_ID_TEXT + 1])
{
	for (unsigned i = 0; i < KEY_ID_BYTES; i++)
		snprintf(out + 2 * (size_t)i, 3, "%02x", id->b[i]);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* One line without its end, and without what is blank around it. */
static enum err take_line(struct keyring *r, const char *text, size_t n,
			  const char **why)
{
	struct member_key k;
	size_t got = 0;

	if (n == 0 || text[0] == '#')
		return ERR_OK;
	*why = "not a key: 44 characters of base64, as --genkey prints";
	if (n != KEY_TEXT ||
	    base64_decode(text, n, k.secret, sizeof k.secret, &got) != ERR_OK ||
	    got != KEY_BYTES)
		return ERR_SYNTAX;
	k.id = key_id_of(k.secret);
	*why = "the same key twice";
	if (keyring_find(r, &k.id) != NULL)
		return ERR_SYNTAX;
	*why = "more than 3 keys";
	if (r->n == KEYRING_MAX)
		return ERR_RANGE;
	r->v[r->n++] = k;
	crypto_wipe(&k, sizeof k);
	return ERR_OK;
}

enum err keyring_parse(const char *text, size_t n, struct keyring *out,
		       unsigned *line, const char **why)
{
	const char *end = text + n;
	enum err e = ERR_OK;

	memset(out, 0, sizeof *out);
	*line = 0;
	while (text < end && e == ERR_OK) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		const char *last = eol != NULL ? eol : end;
		const char *next = eol != NULL ? eol + 1 : end;

		++*line;
		while (text < last && is_blank(*text))
			text++;
		while (last > text && is_blank(last[-1]))
			last--;
		e = take_line(out, text, (size_t)(last - text), why);
		text = next;
	}
	if (e == ERR_OK && out->n == 0) {
		*line = 0;
		*why = "there is no key in it";
		e = ERR_RANGE;
	}
	if (e != ERR_OK)
		keyring_wipe(out);
	return e;
}

const struct member_key *keyring_find(const struct keyring *r,
				      const struct key_id *id)
{
	for (size_t i = 0; i < r->n; i++)
		if (key_id_equal(&r->v[i].id, id))
			return &r->v[i];
	return NULL;
}

void keyring_wipe(struct keyring *r)
{
	crypto_wipe(r, sizeof *r);
}

void keyring_generate(char out[KEY_TEXT + 1])
{
	uint8_t secret[KEY_BYTES];

	crypto_random(secret, sizeof secret);
	base64_encode(secret, sizeof secret, out);
	crypto_wipe(secret, sizeof secret);
}
