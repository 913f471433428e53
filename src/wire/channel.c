#include "wire/channel.h"

enum { CHANNEL_PLAIN };

void channel_init_plain(struct channel *c)
{
	c->kind = CHANNEL_PLAIN;
}

enum err channel_seal(struct channel *c, const struct iovec *in, int n,
		      const struct iovec **out, int *out_n)
{
	(void)c;
	*out = in;
	*out_n = n;
	return ERR_OK;
}

enum err channel_open(struct channel *c, uint8_t *in, size_t n, size_t *used,
		      uint8_t **plain, size_t *plain_n)
{
	(void)c;
	*used = n;
	*plain = in;
	*plain_n = n;
	return ERR_OK;
}
