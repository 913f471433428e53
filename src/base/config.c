#include "base/config.h"

#include "base/config_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SHOWN_MAX 60 /* bytes of a refused value that a message repeats */

void config_init(struct config *c)
{
	*c = (struct config){ 0 };
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *k = &config_keys[i];

		if (config_value_read(k, c, k->preset) != ERR_OK)
			abort(); /* the table contradicts itself */
	}
}

/* Moves a sentence into the scratch of c, which is all that outlives us. */
static void explain(struct config *c, struct buf *sentence, const char **why)
{
	size_t len = sentence->len;

	*why = "out of memory";
	if (buf_text(sentence) != NULL) {
		if (len >= sizeof c->why)
			len = sizeof c->why - 1;
		memcpy(c->why, sentence->data, len);
		c->why[len] = '\0';
		*why = c->why;
	}
	buf_free(sentence);
}

static void quote(struct buf *b, const char *text)
{
	size_t len = strlen(text);

	buf_char(b, '\'');
	buf_visible(b, text, len > SHOWN_MAX ? SHOWN_MAX : len);
	buf_str(b, len > SHOWN_MAX ? "...'" : "'");
}

static bool seed_name_valid(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz"
				      "0123456789_-";
	size_t len = strlen(name);

	return len > 0 && len < CONFIG_NAME_MAX && strspn(name, allowed) == len;
}

static size_t seed_find(const struct config *c, const char *name)
{
	size_t i = 0;

	while (i < c->seed_count && strcmp(c->seeds[i].name, name) != 0)
		i++;
	return i;
}

static enum err seed_remove(struct config *c, size_t at, const char **why)
{
	if (at == c->seed_count) {
		*why = "there is no seed of this name to remove";
		return ERR_NOT_FOUND;
	}
	c->seed_count--;
	memmove(&c->seeds[at], &c->seeds[at + 1],
		(c->seed_count - at) * sizeof c->seeds[0]);
	return ERR_OK;
}

static enum err seed_refuse(struct config *c, const char *name,
			    const char *value, enum err err, const char **why)
{
	struct buf b = { 0 };

	if (value == NULL) {
		buf_fmt(&b, "a seed's name must be 1 to %d of A-Z a-z 0-9 _ -",
			CONFIG_NAME_MAX - 1);
		value = name;
	} else {
		buf_fmt(&b, "%s must be HOST:PORT (port 1 to 65535)", name);
	}
	buf_str(&b, ", not ");
	quote(&b, value);
	explain(c, &b, why);
	return err;
}

static bool is_wildcard_host(const char *host)
{
	return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static enum err seed_set(struct config *c, const char *name, const char *value,
			 const char **why)
{
	struct config_seed seed = { 0 };
	size_t at = seed_find(c, name);
	enum err err;

	if (!seed_name_valid(name))
		return seed_refuse(c, name, NULL, ERR_SYNTAX, why);
	if (value[0] == '\0')
		return seed_remove(c, at, why);
	err = config_hostport(value, false, seed.host, &seed.port);
	if (err != ERR_OK)
		return seed_refuse(c, name, value, err, why);
	if (is_wildcard_host(seed.host)) {
		*why = "nobody can dial a wildcard address; a seed listens on "
		       "one with -l HOST:PORT";
		return ERR_RANGE;
	}
	if (at == CONFIG_SEEDS_MAX) {
		*why = "more than 64 seeds";
		return ERR_FULL;
	}
	memcpy(seed.name, name, strlen(name) + 1);
	c->seeds[at] = seed;
	if (at == c->seed_count)
		c->seed_count++;
	return ERR_OK;
}
_Static_assert(CONFIG_SEEDS_MAX == 64, "the message above says 64");

static enum err key_unknown(struct config *c, const char *section,
			    const char *key, const char **why)
{
	struct buf b = { 0 };

	if (config_section_known(section)) {
		buf_str(&b, "unknown key ");
		quote(&b, key);
		buf_fmt(&b, " in [%s]", section);
	} else {
		buf_str(&b, "unknown section ");
		quote(&b, section);
	}
	explain(c, &b, why);
	return ERR_UNKNOWN;
}

enum err config_set(struct config *c, const char *section, const char *key,
		    const char *value, const char **why)
{
	const struct config_key *k = config_key_find(section, key);
	struct buf b = { 0 };
	enum err err;

	if (strcmp(section, CONFIG_SEEDS_SECTION) == 0)
		return seed_set(c, key, value, why);
	if (k == NULL)
		return key_unknown(c, section, key, why);
	err = config_value_read(k, c, value);
	if (err == ERR_OK)
		return ERR_OK;
	buf_fmt(&b, "%s must be ", key);
	config_value_form(k, &b);
	buf_str(&b, ", not ");
	quote(&b, value);
	explain(c, &b, why);
	return err;
}

enum err config_set_text(struct config *c, const char *text, const char **why)
{
	const char *equals = strchr(text, '=');
	const char *dot = strchr(text, '.');
	char section[64], key[64];
	struct buf b = { 0 };
	size_t s, k;

	if (equals != NULL && dot != NULL && dot < equals) {
		s = (size_t)(dot - text);
		k = (size_t)(equals - dot - 1);
		if (s < sizeof section && k < sizeof key) {
			memcpy(section, text, s);
			section[s] = '\0';
			memcpy(key, dot + 1, k);
			key[k] = '\0';
			return config_set(c, section, key, equals + 1, why);
		}
	}
	buf_str(&b, "must be section.key=value, not ");
	quote(&b, text);
	explain(c, &b, why);
	return ERR_SYNTAX;
}

static void blame(struct config_fault *fault, size_t i, const char *section,
		  const char *key)
{
	snprintf(fault->keys[i], sizeof fault->keys[i], "%s.%s", section, key);
}

static bool is_wildcard(const char *hostport)
{
	struct addr a;

	return addr_parse(hostport, strlen(hostport), &a) &&
	       addr_is_wildcard(&a);
}

static enum err check_advertise(const struct config *c,
				struct config_fault *fault)
{
	if (!is_wildcard(c->peer.advertise))
		return ERR_OK;
	fault->why = "[peer] advertise: nobody can dial a wildcard address";
	blame(fault, 0, "peer", "advertise");
	return ERR_RANGE;
}

/* Two names for one seed would be asked twice, and count as two of a
 * majority. */
static enum err check_seeds(struct config *c, struct config_fault *fault)
{
	if (c->seed_count == 0) {
		fault->why = "no seeds: [seeds] is empty or missing";
		return ERR_NOT_FOUND;
	}
	for (size_t i = 1; i < c->seed_count; i++)
		for (size_t j = 0; j < i; j++) {
			const struct config_seed *a = &c->seeds[j];
			const struct config_seed *b = &c->seeds[i];
			struct buf text = { 0 };

			if (a->port != b->port ||
			    strcasecmp(a->host, b->host) != 0)
				continue;
			buf_fmt(&text, "seeds %s and %s have the same address",
				a->name, b->name);
			explain(c, &text, &fault->why);
			blame(fault, 0, CONFIG_SEEDS_SECTION, a->name);
			blame(fault, 1, CONFIG_SEEDS_SECTION, b->name);
			return ERR_RANGE;
		}
	return ERR_OK;
}

enum err config_check(struct config *c, struct config_fault *fault)
{
	const struct config_overlay *o = &c->overlay;
	const struct config_gossip *g = &c->gossip;
	const struct {
		bool bad;
		const char *section, *a, *b, *why;
	} rules[] = {
		{ o->dials > o->links_max, "overlay", "dials", "max_links",
		  "[overlay] dials must not be more than max_links" },
		{ o->dials > o->candidates_max, "overlay", "dials",
		  "max_candidates",
		  "[overlay] dials must not be more than max_candidates" },
		{ o->repair_first_ms > o->repair_max_ms, "overlay",
		  "repair_first", "repair_max",
		  "[overlay] repair_first must not be above repair_max" },
		{ o->repair_ms > o->repair_max_ms, "overlay", "repair",
		  "repair_max",
		  "[overlay] repair must not be above repair_max" },
		{ c->liveness.timeout_ms <= c->liveness.interval_ms, "liveness",
		  "timeout", "interval",
		  "[liveness] timeout must be longer than interval" },
		{ g->ask_min_ms > g->ask_max_ms, "gossip", "ask_min", "ask_max",
		  "[gossip] ask_min must not be above ask_max" },
		{ g->outbox_high >= g->outbox_max, "gossip", "outbox_high",
		  "max_outbox",
		  "[gossip] outbox_high must be less than max_outbox" },
		{ g->slow_bytes > g->outbox_max, "gossip", "slow_bytes",
		  "max_outbox",
		  "[gossip] slow_bytes must not be more than max_outbox" },
		/* Base64 and its envelope make a message longer. */
		{ g->outbox_max < 2 * g->data_max, "gossip", "max_outbox",
		  "max_data",
		  "[gossip] max_outbox must be at least twice max_data" },
		{ g->store_bytes < 2 * g->data_max, "gossip", "store_bytes",
		  "max_data",
		  "[gossip] store_bytes must be at least twice max_data" },
		{ g->output_max < 2 * g->data_max, "gossip", "max_output",
		  "max_data",
		  "[gossip] max_output must be at least twice max_data" },
	};

	*fault = (struct config_fault){ .why = "" };
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (rules[i].bad) {
			fault->why = rules[i].why;
			blame(fault, 0, rules[i].section, rules[i].a);
			blame(fault, 1, rules[i].section, rules[i].b);
			return ERR_RANGE;
		}
	if (check_advertise(c, fault) != ERR_OK)
		return ERR_RANGE;
	return check_seeds(c, fault);
}

static void print_seeds(const struct config *c, struct buf *out)
{
	for (size_t i = 0; i < c->seed_count; i++) {
		const struct config_seed *s = &c->seeds[i];
		bool v6 = strchr(s->host, ':') != NULL;

		buf_fmt(out, v6 ? "%s = [%s]:%u\n" : "%s = %s:%u\n", s->name,
			s->host, (unsigned)s->port);
	}
}

static void print_key(const struct config_key *k, const struct config *c,
		      bool comments, struct buf *out)
{
	if (comments) {
		buf_fmt(out, "# %s (", k->text);
		config_value_range(k, out);
		buf_fmt(out, ", default %s)\n",
			*k->preset ? k->preset : "empty");
	}
	buf_fmt(out, "%s =", k->name);
	if (((const char *)c)[k->offset] != '\0' ||
	    (k->kind != KIND_TEXT && k->kind != KIND_HOSTPORT))
		buf_char(out, ' ');
	config_value_print(k, c, out);
	buf_char(out, '\n');
}

void config_print(const struct config *c, bool comments, struct buf *out)
{
	if (comments)
		buf_str(out, "# Configuration of Seed and Peer.\n"
			     "# Durations: 250ms, 5s, 2m, 1h; a bare number "
			     "is seconds. Sizes: 64K, 4M, 1G.\n"
			     "# An option (--set section.key=value) or "
			     "SEEDPEER_SECTION_KEY in the environment\n"
			     "# wins over this file. Try: bin/peer --check, "
			     "bin/peer --print-config\n\n");
	for (size_t i = 0; i < config_section_count; i++) {
		const struct config_section *s = &config_sections[i];

		if (i > 0)
			buf_char(out, '\n');
		if (comments)
			buf_fmt(out, "# %s\n", s->text);
		buf_fmt(out, "[%s]\n", s->name);
		if (strcmp(s->name, CONFIG_SEEDS_SECTION) == 0)
			print_seeds(c, out);
		for (size_t j = 0; j < config_key_count; j++)
			if (strcmp(config_keys[j].section, s->name) == 0)
				print_key(&config_keys[j], c, comments, out);
	}
}

bool config_may_listen(const struct config *c, const struct addr *a)
{
	return addr_is_loopback(a) || c->security.key_file[0] != '\0' ||
	       c->security.insecure;
}
