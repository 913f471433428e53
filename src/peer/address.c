#include "peer/address.h"

#include "base/crypto.h"
#include "io/clock.h"
#include "io/sock.h"

#include <stdio.h>

static enum err resolve(const char *text, struct addr *out)
{
	struct addr addrs[SOCK_RESOLVE_MAX];
	char host[HOST_MAX];
	uint16_t port;
	size_t n = 0;
	enum err e = hostport_split(text, true, host, &port);

	if (e == ERR_OK)
		e = sock_resolve(host, port, addrs, &n);
	if (e == ERR_OK)
		*out = addrs[0];
	return e;
}

int address_listen(const struct config *c, struct addr *listen)
{
	const char *text = c->peer.listen;
	enum err e = resolve(text, listen);

	if (e != ERR_OK) {
		fprintf(stderr, "peer: cannot listen on %s: %s\n", text,
			err_text(e));
		return EXIT_CONFIG;
	}
	if (!config_may_listen(c, listen)) {
		fprintf(stderr,
			"peer: will not listen on %s: without a key anybody "
			"there could read and publish; set [security] key_file "
			"(peer --genkey makes a key), or insecure = yes\n",
			text);
		return EXIT_CONFIG;
	}
	return EXIT_DONE;
}

/* Listening everywhere: the address our connections to the seeds come from.
 * Should a seed see another one, the core learns it from its answer. */
static bool toward_seeds(const struct config *c, struct addr *self)
{
	uint16_t port = self->port;

	for (size_t i = 0; i < c->seed_count; i++) {
		struct addr seeds[SOCK_RESOLVE_MAX];
		size_t n = 0;

		if (sock_resolve(c->seeds[i].host, c->seeds[i].port, seeds,
				 &n) != ERR_OK)
			continue;
		for (size_t k = 0; k < n; k++) {
			if (sock_local_toward(&seeds[k], self) != ERR_OK)
				continue;
			self->port = port;
			return true;
		}
	}
	return false;
}

int address_self(const struct config *c, const struct addr *bound,
		 struct node_options *out)
{
	struct addr self = *bound;

	out->config = c;
	out->self.incarnation = (uint64_t)clock_wall_ms();
	crypto_random(&out->rng_seed, sizeof out->rng_seed);
	if (c->peer.advertise[0] != '\0') {
		if (resolve(c->peer.advertise, &self) != ERR_OK) {
			fprintf(stderr,
				"peer: cannot advertise %s: no such "
				"address\n",
				c->peer.advertise);
			return EXIT_CONFIG;
		}
		if (self.port == 0)
			self.port = bound->port;
	} else if (addr_is_wildcard(bound)) {
		out->learn_address = true;
		if (!toward_seeds(c, &self)) {
			fprintf(stderr, "peer: no way to any seed; say with "
					"--advertise how others reach me\n");
			return EXIT_UNREACHABLE;
		}
	}
	out->self.addr = self;
	return EXIT_DONE;
}
