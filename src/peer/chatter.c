#include "peer/chatter.h"

#include "io/clock.h"
#include "peer/hub.h"
#include "peer/publisher.h"

#include <limits.h>
#include <stdio.h>

void chatter_init(struct chatter *c, struct peer *p)
{
	bool piped = p->options->send || p->options->receive;

	*c = (struct chatter){ .peer = p };
	if (!piped)
		c->interval_ms = p->config->peer.message_interval_ms;
	c->next_ms = clock_ms() + c->interval_ms;
}

int chatter_wait(const struct chatter *c)
{
	int64_t left = c->next_ms - clock_ms();

	if (c->interval_ms == 0)
		return -1;
	if (left < 0)
		return 0;
	return left < INT_MAX ? (int)left : INT_MAX;
}

void chatter_say(struct chatter *c)
{
	static const char *const words[] = { "hello", "hi", "bye" };
	char text[128], address[ADDR_TEXT_MAX];
	struct identity self;
	int n;

	if (c->interval_ms == 0 || clock_ms() < c->next_ms)
		return;
	c->next_ms = clock_ms() + c->interval_ms;
	self = hub_self(c->peer->hub);
	addr_format(&self.addr, address);
	c->number++;
	n = snprintf(text, sizeof text, "%s from %s, number %llu",
		     words[(c->number - 1) % 3], address,
		     (unsigned long long)c->number);
	/* A demo message that cannot be sent is no loss. */
	(void)!publisher_send(c->peer, text, (size_t)n, false);
}
