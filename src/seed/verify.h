/* Checks whether a run that was reported dead, or whose lease has lapsed, is
 * alive (R14, R17), in the background by a pool of verifiers.
 *
 * The registry allows one check per run: who begins one (registry_verify_begin)
 * submits it here, and exactly one of end and cancel follows.
 */
#ifndef SEED_VERIFY_H
#define SEED_VERIFY_H

#include "base/addr.h"
#include "base/err.h"

struct seed;

enum verify_cause { VERIFY_DEATH, VERIFY_LAPSE };

/* Any thread, without registry.mu. On anything but ERR_OK (ERR_FULL above
 * all) the check has been cancelled. */
enum err MUST_CHECK verify_submit(struct seed *s, const struct identity *id,
				  enum verify_cause cause);

/* Begins a check for every run whose lease has lapsed, as far as there is
 * room: half of the queue is left to Deaths. The sweeper's. */
void verify_lapsed(struct seed *s);

#endif
