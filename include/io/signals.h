/* The signals of a daemon: blocked before any thread exists, read by main.
 *
 * SIGINT and SIGTERM ask it to end, SIGHUP to reopen its log, SIGUSR1 to write
 * its status there; SIGPIPE is ignored. Main thread only.
 */
#ifndef IO_SIGNALS_H
#define IO_SIGNALS_H

enum signal_wish { WISH_NOTHING, WISH_END, WISH_REOPEN, WISH_STATUS };

/* First of all in main: a program that was started with a standard stream
 * closed would get a socket or a log as its stdin or stdout. Reading and
 * writing what was closed still fails. */
void signals_hold_streams(void);
/* Blocks them and returns a descriptor that is readable when one came, or -1
 * with errno. */
int signals_block(void);
/* What the signal that came wants. Does not block if the descriptor is
 * readable. */
enum signal_wish signals_read(int fd);
/* From now on SIGINT or SIGTERM end the process at once. */
void signals_let_kill(void);

#endif
