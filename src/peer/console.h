/* The prompt's commands. Text goes to the output queue; nothing here writes
 * to the terminal itself. One thread (the input). */
#ifndef PEER_CONSOLE_H
#define PEER_CONSOLE_H

#include "peer/peer.h"

#include <stddef.h>

#define CONSOLE_MENU "1 peers   2 messages   3 exit   (help for more)\n"
#define CONSOLE_PROMPT "> "

/* Runs one line (without its newline). False: the user wants to leave. */
bool console_line(struct peer *p, const char *line, size_t n);

#endif
