/* A word to the service manager that started us, if there is one.
 *
 * One datagram to the socket named by $NOTIFY_SOCKET, as sd_notify would send
 * it, without its library. Call it from main; does not block for long.
 */
#ifndef IO_NOTIFY_H
#define IO_NOTIFY_H

#include "base/err.h"

/* "READY=1". ERR_NOT_FOUND: nobody asked; ERR_SYSTEM with errno. */
enum err notify_ready(void);

#endif
