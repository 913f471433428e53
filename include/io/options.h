/* The command line of both programs, and the configuration from all sources.
 *
 * Reads the file, the environment and the options, lays them over the built-in
 * defaults in that order and checks the result. Call it first in main, before
 * any thread exists; it is the only place where either program reads
 * its configuration. A struct options is large (32 KiB): keep it static.
 */
#ifndef IO_OPTIONS_H
#define IO_OPTIONS_H

#include "base/config.h"
#include "io/exits.h"

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_FILE "config.ini" /* in the current directory */
#define OPTIONS_FILE_SYSTEM "/etc/seedpeer/config.ini"
#define OPTIONS_WAIT_MS 10000

enum program { PROGRAM_SEED, PROGRAM_PEER };

struct options {
	struct config config;
	const char *config_path; /* the file that was read, NULL: none */
	bool help, version, check, print_config; /* dealt with in here */
	bool no_color; /* config.log.color is COLOR_NEVER then */
	bool listen_given, log_dir_given; /* by their own options */
	const char *name; /* seed: its entry of [seeds], NULL: any */
	bool send, receive, json, list; /* peer, like the rest */
	bool genkey;                    /* dealt with in here */
	uint64_t count;                 /* 0: no end */
	int64_t wait_ms;
};

/* -1 to go on, or the exit status of a program that is done: it has printed
 * what was asked for, or on stderr what is wrong. Strings point into argv,
 * whose order may change. envp may be NULL. */
int options_read(struct options *o, enum program program, int argc, char **argv,
		 char *const *envp);

#endif
