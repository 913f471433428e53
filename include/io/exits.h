/* How both programs end; 69, 74 and 78 as in sysexits.h. */
#ifndef IO_EXITS_H
#define IO_EXITS_H

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 69, /* nobody there */
	EXIT_OUTPUT = 74,      /* stdout could not be written */
	EXIT_CONFIG = 78,
};

#endif
