/* What a control message says, in a few words, for the log. Any thread. */
#ifndef PEER_DETAIL_H
#define PEER_DETAIL_H

#include "io/log.h"
#include "wire/message.h"

#define DETAIL_MAX 160 /* numbers of 20 digits and an IPv6 address fit */

/* "ranges=3 origin=127.0.0.1:4000 seq=1-5 all more"; "" for what has nothing
 * to add to its name. */
void detail_print(const struct message *m, char out[DETAIL_MAX]);
/* One line at debug; costs nothing when nobody wants it. */
void detail_log(struct log *log, enum log_way way, const struct addr *who,
		const struct message *m);

#endif
